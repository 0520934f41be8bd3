//! A lab of virtual machines, as a person without privileges has it: a home of their own, and the command `pvmlab`.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use lab_model::{Arch, ImageName};
use tempfile::TempDir;

use crate::{
    process::{own_without_privilege, unbound_without_privilege},
    server::share,
    supplies::Supplies,
};

/// A home, and the command for it; when this is dropped the lab is cleaned up, and so it is when this process is killed.
#[derive(Debug)]
pub struct VirtualLab {
    programs: PathBuf,
    home: PathBuf,
    accelerator: Option<OsString>,
    /// Waits for the end of its standard input.
    keeper: Child,
    /// Last: what runs in it ends first.
    folder: TempDir,
}

impl VirtualLab {
    /// An empty lab with the programs that `supplies` has; its machines are emulated, as everywhere in tests.
    ///
    /// # Errors
    /// There are none, or they cannot be copied to where a user without privileges can read them.
    pub fn new(supplies: &Supplies) -> Result<Self> {
        Self::accelerated(supplies, Some("tcg".into()))
    }

    /// As [`VirtualLab::new`], with the accelerator that `pvmlab` finds, or the one that it is told by the environment.
    ///
    /// # Errors
    /// Those of [`VirtualLab::new`].
    pub fn as_the_host_is(supplies: &Supplies) -> Result<Self> {
        Self::accelerated(supplies, env::var_os(ACCELERATOR))
    }

    fn accelerated(supplies: &Supplies, accelerator: Option<OsString>) -> Result<Self> {
        // Control sockets are in the home, and their paths are short by nature (unix(7): 107 bytes).
        let folder = tempfile::Builder::new().prefix("pvm-").tempdir_in("/tmp")?;
        own_without_privilege(folder.path())?;
        let from = supplies.command.parent().context("a program is in a folder")?;
        let programs = share(from, &folder.path().join("bin"))?;
        let home = folder.path().join("lab");
        let mut keeper = unbound_without_privilege("sh");
        // Ctrl-C is for everybody in the terminal's foreground, but somebody has to clean up.
        let keep = "trap '' HUP INT TERM; cat >/dev/null; exec \"$0\" clean --purge";
        keeper.args(["-c", keep]).arg(programs.join("pvmlab"));
        environment(&mut keeper, &home, accelerator.as_deref());
        let keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Self { programs, home, accelerator, keeper: keeper.context("cannot start sh")?, folder })
    }

    /// The lab's home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A folder that belongs to the lab's user.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::create_dir_all(&path)?;
        own_without_privilege(&path)?;
        Ok(path)
    }

    /// A copy of an image's folder that the lab's user can read.
    ///
    /// # Errors
    /// There is no such image.
    pub fn image(&self, supplies: &Supplies, name: &ImageName, arch: Arch) -> Result<PathBuf> {
        let from = supplies.images.join(name.as_str()).join(arch.as_str());
        share(&from, &self.folder("images")?.join(arch.as_str()))
    }

    /// The server for provisioners of `arch`, beside the command.
    pub fn server(&self, arch: Arch) -> PathBuf {
        self.programs.join(arch.as_str()).join("pxe-server")
    }

    /// `pvmlab` with these arguments, as the lab's user runs it.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = unbound_without_privilege(self.programs.join("pvmlab"));
        command.args(arguments);
        environment(&mut command, &self.home, self.accelerator.as_deref());
        command
    }

    /// Runs `pvmlab` to its end, for at most `limit`, and returns what came of it.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn run<S: AsRef<OsStr>>(&self, limit: Duration, arguments: &[S]) -> Result<Output> {
        let mut command = unbound_without_privilege("timeout");
        // Ctrl-C first: what a person would do.
        command.args(["--signal=INT", "--kill-after=60"]).arg(limit.as_secs().to_string());
        command.arg(self.programs.join("pvmlab")).args(arguments);
        environment(&mut command, &self.home, self.accelerator.as_deref());
        let output = command.stdin(Stdio::null()).output().context("cannot run timeout")?;
        ensure!(output.status.code() != Some(TIMED_OUT), "{command:?} took more than {limit:?}: {}", said(&output));
        Ok(output)
    }

    /// As [`VirtualLab::run`], for a command that has to succeed; returns what it printed.
    ///
    /// # Errors
    /// It failed; the message has what it said, and the consoles of the machines.
    pub fn succeed<S: AsRef<OsStr>>(&self, limit: Duration, arguments: &[S]) -> Result<String> {
        let output = self.run(limit, arguments)?;
        if !output.status.success() {
            let words: Vec<_> = arguments.iter().map(|word| word.as_ref().to_string_lossy()).collect();
            bail!("pvmlab {} failed ({}): {}\n{}", words.join(" "), output.status, said(&output), self.logs());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The end of each log in the home.
    pub fn logs(&self) -> String {
        let Ok(entries) = fs::read_dir(self.home.join("logs")) else { return String::new() };
        let mut logs = String::new();
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
            let lines: Vec<_> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
            logs += &format!("--- {}\n{tail}\n", path.display());
        }
        logs
    }

    /// The processes that have this lab's home on their command line.
    ///
    /// # Errors
    /// There is no /proc.
    pub fn processes(&self) -> Result<Vec<String>> {
        let home = self.home.to_str().context("a temporary folder has a plain name")?;
        let command_lines = fs::read_dir("/proc")?.flatten().filter_map(|entry| {
            entry.file_name().to_str()?.parse::<u32>().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            Some(String::from_utf8_lossy(&line).replace('\0', " "))
        });
        Ok(command_lines.filter(|line| line.contains(home)).collect())
    }
}

impl Drop for VirtualLab {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// timeout(1).
const TIMED_OUT: i32 = 124;

const LOG_LINES: usize = 40;

/// Two emulated machines at once share two cores.
const WAIT_SECONDS: &str = "1400";

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Nothing of the person who runs the test: neither their lab nor their keys.
fn environment(command: &mut Command, home: &Path, accelerator: Option<&OsStr>) {
    command
        .env_clear()
        .envs(["PATH", "TERM", "NO_COLOR"].into_iter().filter_map(|name| Some((name, env::var_os(name)?))));
    command.env("PVMLAB_HOME", home).env("HOME", home).env("PVMLAB_WAIT_TIMEOUT", WAIT_SECONDS);
    command.envs(accelerator.map(|accelerator| (ACCELERATOR, accelerator)));
}

const ACCELERATOR: &str = "PVMLAB_QEMU_ACCEL";
