//! Processes of the lab that outlive the command that started them, and the files that say which is which.
//!
//! A number alone proves nothing: the system gives it to another process later. So a PID file holds when the process began
//! as well, and it is compared before every use.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::command_line::CommandLine;
use crate::error::{Failure, Kind, Result};
use crate::file;
use crate::interrupt::Interrupt;

/// A process that runs, as its PID file says.
#[derive(Debug)]
pub(crate) struct Running {
    identity: Identity,
    pid_file: PathBuf,
}

/// A process that is not known to work yet: ended when this is dropped, unless it is kept.
#[derive(Debug)]
pub(crate) struct Starting {
    child: Child,
    program: PathBuf,
    running: Option<Running>,
    log: PathBuf,
    kept: bool,
}

/// How long a process may take to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// From SIGTERM to SIGKILL.
    pub(crate) after_term: Duration,
}

/// How a process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It did as SIGTERM said.
    Terminated,
    /// It had to be killed.
    Killed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    pid: i32,
    /// When it began, as the system tells it: to be compared, not to be read.
    started: String,
    /// For people who look into the file.
    program: PathBuf,
}

/// The process that a PID file names, if it still runs; what is in the file may be of an earlier boot, or nonsense.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn find(pid_file: &Path) -> Result<Option<Running>> {
    let text = match fs::read(pid_file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(anyhow::Error::from(error).context(format!("cannot read {}", pid_file.display())).into());
        }
    };
    let Ok(identity) = serde_json::from_slice::<Identity>(&text) else {
        return Ok(None);
    };
    let running = Running { identity, pid_file: pid_file.to_owned() };
    Ok(Some(running).filter(|running| !running.has_ended()))
}

/// Starts a program that the terminal's Ctrl-C does not reach, and notes which process it is. What it says goes to `log`.
///
/// # Errors
/// It cannot be started.
pub(crate) fn spawn(line: &CommandLine, pid_file: &Path, log: &Path) -> Result<Starting> {
    let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let errors = output.try_clone().context("cannot share a log")?;
    let mut command = Command::new(&line.program);
    command.args(&line.arguments).stdin(Stdio::null()).stdout(output).stderr(errors);
    // A process group of its own: signals of the terminal go to the one in the foreground, as does the hang-up of a session.
    let child = command.process_group(0).spawn();
    let child = child.with_context(|| format!("cannot start {}", line.program.display()))?;
    let (program, log) = (line.program.clone(), log.to_owned());
    let mut starting = Starting { child, program, running: None, log, kept: false };

    let pid = i32::try_from(starting.child.id()).context("a process number is a pid_t")?;
    let Some(started) = began(pid) else {
        return Err(starting.ended());
    };
    let identity = Identity { pid, started, program: line.program.clone() };
    let text = serde_json::to_vec(&identity).map_err(anyhow::Error::from)?;
    file::replace(pid_file, &text)?;
    starting.running = Some(Running { identity, pid_file: pid_file.to_owned() });
    Ok(starting)
}

impl Starting {
    /// Asks `question` until it has an answer: whether the process works by now.
    ///
    /// # Errors
    /// The process has ended, and the message has what it said last; or there is no answer within `limit`; or an interruption.
    pub(crate) fn until<T>(
        &mut self,
        limit: Duration,
        interrupt: &Interrupt,
        mut question: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let begin = Instant::now();
        loop {
            if let Some(answer) = question()? {
                return Ok(answer);
            }
            if self.child.try_wait().context("cannot ask for a process")?.is_some() {
                return Err(self.ended());
            }
            if begin.elapsed() >= limit {
                let message = format!("{} does not work within {} s", self.name(), limit.as_secs());
                return Err(Failure::new(Kind::TimedOut, message).hinted(format!("its log is {}", self.log.display())));
            }
            interrupt.pause(POLL_INTERVAL)?;
        }
    }

    /// It works, and goes on when this command ends.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }

    fn ended(&mut self) -> Failure {
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        let said = tail(&self.log);
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        Failure::new(Kind::Failed, format!("{} ended at once ({status}){said}", self.name()))
    }

    fn name(&self) -> String {
        self.program.display().to_string()
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(running) = &self.running {
            let _ = fs::remove_file(&running.pid_file);
        }
    }
}

impl Running {
    /// Its number.
    pub(crate) fn pid(&self) -> i32 {
        self.identity.pid
    }

    /// Whether it is gone; another process with its number is another process.
    pub(crate) fn has_ended(&self) -> bool {
        began(self.identity.pid).as_ref() != Some(&self.identity.started)
    }

    /// Waits for its end for at most `limit`; whether it came.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let begin = Instant::now();
        while !self.has_ended() {
            if begin.elapsed() >= limit {
                return false;
            }
            std::thread::park_timeout(POLL_INTERVAL);
        }
        true
    }

    /// Ends it, by SIGTERM and then SIGKILL, and forgets it.
    ///
    /// # Errors
    /// It belongs to somebody else, or does not end even so.
    pub(crate) fn end(self, patience: Patience) -> Result<End> {
        self.signal(Signal::SIGTERM)?;
        let end = if self.wait(patience.after_term) {
            End::Terminated
        } else {
            self.signal(Signal::SIGKILL)?;
            if !self.wait(KILL_LIMIT) {
                let message = format!("process {} does not end though it was killed", self.pid());
                return Err(Failure::new(Kind::TimedOut, message).hinted(
                    "it waits for a device: look at `dmesg`; it is gone at the latest after the host's next start",
                ));
            }
            End::Killed
        };
        self.forget()?;
        Ok(end)
    }

    /// Removes the PID file of a process that has ended.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn forget(self) -> Result<()> {
        match fs::remove_file(&self.pid_file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(anyhow::Error::from(error).context(format!("cannot remove {}", self.pid_file.display())).into())
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if self.has_ended() {
            return Ok(());
        }
        match kill(Pid::from_raw(self.identity.pid), signal) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
            Err(error) => {
                let message =
                    format!("cannot end process {} ({}): {error}", self.pid(), self.identity.program.display());
                Err(Failure::new(Kind::Failed, message).hinted("end it as the user who started it"))
            }
        }
    }
}

/// The last lines of a log, on one line.
pub(crate) fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(4096)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}

/// When the process with this number began: `None` if there is none, or only its remains.
#[cfg(target_os = "linux")]
fn began(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // proc_pid_stat(5): the second field is a name in parentheses, which may have any bytes; the third is the state, the 22nd
    // the time of the start since the boot.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let ticks = fields.nth(18)?;
    if state == "Z" || state == "X" {
        return None;
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(format!("{ticks} after boot {}", boot.trim()))
}

/// When the process with this number began: `None` if there is none, or only its remains.
#[cfg(not(target_os = "linux"))]
fn began(pid: i32) -> Option<String> {
    let mut ps = Command::new("/bin/ps");
    ps.args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).env("LC_ALL", "C").stdin(Stdio::null());
    let text = String::from_utf8(ps.output().ok()?.stdout).ok()?;
    let (state, started) = text.trim().split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The kernel needs no time for it, but for a process that waits for a device.
const KILL_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_was_started_is_found_until_it_ends() {
        let place = Place::new();
        place.start("exec sleep 1000").keep();

        let running = find(&place.pid_file()).expect("read").expect("runs");
        assert_eq!(running.end(PATIENCE).expect("ended"), End::Terminated);

        assert!(find(&place.pid_file()).expect("read").is_none());
        assert!(!place.pid_file().exists());
    }

    #[test]
    fn who_does_not_hear_is_killed() {
        let place = Place::new();
        let mut starting = place.start("trap '' TERM; echo deaf; while :; do sleep 1000; done");
        let interrupt = Interrupt::hold();
        let deaf = || Ok((tail(&place.log()) == "deaf").then_some(()));
        starting.until(LIMIT, &interrupt, deaf).expect("deaf");
        starting.keep();

        let running = find(&place.pid_file()).expect("read").expect("runs");
        let end = running.end(Patience { after_term: Duration::from_millis(50) });

        assert_eq!(end.expect("ended"), End::Killed);
    }

    #[test]
    fn another_process_with_the_same_number_is_another() {
        let place = Place::new();
        let own = i32::try_from(std::process::id()).expect("a number");
        let stale = Identity { pid: own, started: "long ago".to_owned(), program: PathBuf::from("qemu") };
        fs::write(place.pid_file(), serde_json::to_vec(&stale).expect("JSON")).expect("written");

        assert!(find(&place.pid_file()).expect("read").is_none());
    }

    #[test]
    fn a_number_alone_is_no_proof() {
        let place = Place::new();
        fs::write(place.pid_file(), format!("{}\n", std::process::id())).expect("written");

        assert!(find(&place.pid_file()).expect("read").is_none());
    }

    #[test]
    fn what_only_began_to_start_is_ended() {
        let place = Place::new();
        let starting = place.start("exec sleep 1000");
        let running = find(&place.pid_file()).expect("read").expect("runs");

        drop(starting);

        assert!(running.has_ended());
        assert!(!place.pid_file().exists());
    }

    #[test]
    fn who_ends_at_once_is_told_with_its_last_words() {
        let place = Place::new();
        let interrupt = Interrupt::hold();

        // It may have ended when the first question is asked, or even before.
        let failure = place
            .try_start("echo no disk >&2; exit 3")
            .and_then(|mut starting| starting.until::<()>(LIMIT, &interrupt, || Ok(None)))
            .expect_err("it ended");

        assert_eq!(failure.to_string(), "/bin/sh ended at once (exit status: 3): no disk");
    }

    #[test]
    fn programs_get_the_signals_that_this_command_holds_back() {
        let place = Place::new();
        let _interruption = Interrupt::hold();
        place.start("exec sleep 1000").keep();

        let running = find(&place.pid_file()).expect("read").expect("runs");

        assert_eq!(running.end(PATIENCE).expect("ended"), End::Terminated);
    }

    const PATIENCE: Patience = Patience { after_term: LIMIT };
    const LIMIT: Duration = Duration::from_secs(60);

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn pid_file(&self) -> PathBuf {
            self.0.path().join("process.pid")
        }

        fn log(&self) -> PathBuf {
            self.0.path().join("process.log")
        }

        fn start(&self, script: &str) -> Starting {
            self.try_start(script).expect("started")
        }

        fn try_start(&self, script: &str) -> Result<Starting> {
            let arguments = vec!["-c".to_owned(), script.to_owned()];
            let line = CommandLine { program: PathBuf::from("/bin/sh"), arguments };
            spawn(&line, &self.pid_file(), &self.log())
        }
    }
}
