//! Programs that end with whoever started them.
//!
//! `setpriv --pdeathsig` has the kernel kill the program when the thread that started it ends, however it ends; so a
//! test that is killed leaves no server and no emulator behind.

use std::{
    ffi::OsStr,
    fmt,
    io::Read,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};

/// A running program, killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
}

/// The command that runs `program` for as long as this thread lives.
pub fn bound(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]);
    add_program(&mut command, program);
    command
}

/// As [`bound`], without any privilege: as `nobody` where this process is root, and always without capabilities.
pub fn bound_without_privilege(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    drop_privileges(&mut command);
    command.arg("--");
    add_program(&mut command, program);
    command
}

/// As [`bound_without_privilege`], for a program that outlives this one.
pub(crate) fn unbound_without_privilege(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    drop_privileges(&mut command);
    command.arg("--").arg(program);
    command
}

fn drop_privileges(command: &mut Command) {
    command.arg("--no-new-privs");
    if geteuid().is_root() {
        command.args(["--bounding-set=-all", "--inh-caps=-all"]);
        if owns_every_user() {
            command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]);
        }
    }
}

/// A parent that ended before the kernel knew of the bond has sent no signal; but then the parent is another by now.
fn add_program(command: &mut Command, program: impl AsRef<OsStr>) {
    command.args(["sh", "-c", r#"[ "$PPID" = "$1" ] || exit 1; shift; exec "$@""#, "sh"]);
    command.arg(std::process::id().to_string()).arg(program);
}

/// As [`bound_without_privilege`], but with these capabilities (`+net_admin`), which what it starts has too: as a unit with
/// `AmbientCapabilities=` does.
pub fn bound_with_capabilities(capabilities: &[&str], program: impl AsRef<OsStr>) -> Command {
    let set = ["-all"].iter().chain(capabilities).copied().collect::<Vec<_>>().join(",");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--no-new-privs"]);
    if owns_every_user() {
        command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]);
    }
    for kind in ["inh-caps", "ambient-caps", "bounding-set"] {
        command.arg(format!("--{kind}={set}"));
    }
    command.arg("--");
    add_program(&mut command, program);
    command
}

/// Gives `path` to the user that [`bound_without_privilege`] runs programs as.
///
/// # Errors
/// It does not exist.
pub(crate) fn own_without_privilege(path: &Path) -> Result<()> {
    if geteuid().is_root() && owns_every_user() {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))
            .with_context(|| format!("cannot give {} to another user", path.display()))?;
    }
    Ok(())
}

/// The user and group `nobody` and `nogroup`, alike on every Linux distribution.
const NOBODY: u32 = 65_534;

/// Whether root is root: in a user namespace of one user there is no `nobody` to become.
fn owns_every_user() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", &u32::MAX.to_string()]))
}

impl Process {
    /// Starts `command`, which [`bound`] made.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it was started as, for those who wait on its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// The system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks it to end (`SIGTERM`) and waits for at most `limit`.
    ///
    /// # Errors
    /// It is still there after `limit`.
    pub fn stop(&mut self, limit: Duration) -> Result<ExitStatus> {
        if let Ok(pid) = i32::try_from(self.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        self.wait(limit)
    }

    /// Waits for its end for at most `limit`.
    ///
    /// # Errors
    /// It is still there after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let status = until(limit, || Ok(self.child.try_wait()?))?;
        status.with_context(|| format!("{self} still runs after {limit:?}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.id())
    }
}

/// Asks `question` until it has an answer, for at most `limit`; `None` when it never had one.
///
/// For states that nothing announces: a process's end, a server's answer over HTTP.
///
/// # Errors
/// Those of `question`, which end the waiting.
pub fn until<T>(limit: Duration, mut question: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let started = Instant::now();
    loop {
        if let Some(answer) = question()? {
            return Ok(Some(answer));
        }
        if started.elapsed() >= limit {
            return Ok(None);
        }
        thread::park_timeout(POLL_INTERVAL);
    }
}

const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// Runs `command`, which [`bound`] made, to its end without input; it is killed after `limit`.
///
/// # Errors
/// It cannot be started, or it was killed; the message has what it said on standard error.
pub(crate) fn finish(name: &str, command: &mut Command, limit: Duration) -> Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process::start(name, command)?;
    let (stdout, stderr) = (read_on(process.child().stdout.take()), read_on(process.child().stderr.take()));
    let ended = until(limit, || process.ended())?;
    // Where it still runs it is killed, and with it ends what is read.
    drop(process);
    let read = |reader: JoinHandle<Vec<u8>>| reader.join().map_err(|_| anyhow!("cannot read what {name} writes"));
    let (stdout, stderr) = (read(stdout)?, read(stderr)?);
    let Some(status) = ended else {
        bail!("{name} still ran after {limit:?}: {}", String::from_utf8_lossy(&stderr).trim());
    };
    Ok(Output { status, stdout, stderr })
}

fn read_on(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is as good as what there is.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        bytes
    })
}

/// Runs a short command to its end and returns what it printed.
///
/// # Errors
/// It cannot be started, or fails; the message has the command and what it said.
pub fn run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().with_context(|| format!("cannot run {program}"))?;
    if !status.success() {
        bail!("{command:?} failed ({status}): {}", String::from_utf8_lossy(&stderr).trim());
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_process_is_gone() {
        let process = Process::start("sleep", bound("sleep").arg("1000")).unwrap();
        let pid = Pid::from_raw(process.id().try_into().unwrap());

        drop(process);

        assert!(kill(pid, None).is_err());
    }

    #[test]
    fn a_process_ends_with_the_thread_that_started_it() {
        let child = std::thread::spawn(|| {
            let mut child =
                bound("sh").args(["-c", "echo ready; exec sleep 1000"]).stdout(Stdio::piped()).spawn().unwrap();
            let mut line = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
            child
        });
        let mut child = child.join().unwrap();

        let status = until(Duration::from_secs(10), || Ok(child.try_wait()?)).unwrap();

        assert!(!status.expect("killed by the kernel").success());
    }

    #[test]
    fn a_command_that_takes_too_long_is_killed_and_says_what_it_said() {
        let mut command = bound("sh");
        command.args(["-c", "echo connecting >&2; exec sleep 1000"]);

        let error = finish("ssh", &mut command, Duration::from_secs(1)).unwrap_err();

        assert_eq!(error.to_string(), "ssh still ran after 1s: connecting");
    }

    #[test]
    fn a_command_that_ends_in_time_hands_over_all_that_it_wrote() {
        let mut command = bound("sh");
        command.args(["-c", "head -c 200000 /dev/zero; echo done >&2; exit 3"]);

        let Output { status, stdout, stderr } = finish("sh", &mut command, Duration::from_secs(60)).unwrap();

        assert_eq!((status.code(), stdout.len(), stderr), (Some(3), 200_000, b"done\n".to_vec()));
    }

    #[test]
    fn a_failing_command_says_what_it_said() {
        let error = run("sh", &["-c", "echo no such bridge >&2; exit 2"]).unwrap_err();

        assert!(error.to_string().ends_with("failed (exit status: 2): no such bridge"), "{error}");
    }
}
