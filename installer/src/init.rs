//! The duties of PID 1: mounts, the console, children, and what happens when an installation fails.
//!
//! The installation runs in a child, so that whatever ends it (a bug, a kernel out of memory) ends in another attempt and not
//! in the kernel's panic over a dead init. PID 1 itself does next to nothing, and never returns.

use std::convert::Infallible;
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::reboot::RebootMode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, execv};

use crate::command_line::CommandLine;
use crate::console::say;
use crate::{reboot, shell};

/// What PID 1 asks its child to be, as that one's only argument.
pub const ATTEMPT: &str = "attempt";

/// The same, for a child that becomes a shell.
pub const SHELL: &str = "shell";

/// Installs, whatever it takes.
///
/// An attempt that fails is followed by others with growing delays: servers come back, cables get plugged in, definitions get
/// corrected, and each attempt starts from nothing. After the last one, ten to twenty minutes later, the machine reboots, which
/// brings the server's newest kernel and installer, or the old system, where the disk was never touched. Somebody who asked for a
/// shell gets it instead of the delay.
pub fn run() -> ! {
    if let Err(error) = prepare() {
        say(format_args!("{error:#}; going on without"));
    }
    let text = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    if CommandLine::parse(&text).shell {
        if shell::is_there(Path::new("/")) {
            loop {
                say("a shell, because of initrd.mode=shell; leave it with `exit` to install");
                report(spawn(SHELL));
                attempt();
                // Neither a shell that does not start nor an attempt that fails at once fills the console faster than people read.
                thread::sleep(BEFORE_THE_NEXT_SHELL);
            }
        }
        say(format_args!("initrd.mode=shell, but the image's initrd has no {}: installing without", shell::PROGRAM));
    }
    for seconds in DELAYS {
        attempt();
        say(format_args!("trying again in {seconds} s"));
        thread::sleep(Duration::from_secs(seconds));
    }
    attempt();
    say("giving up, the machine starts again");
    reboot::go(RebootMode::RB_AUTOBOOT);
    // A kernel that does not reboot: the reason stays on the console.
    loop {
        thread::park();
    }
}

fn prepare() -> Result<()> {
    for (kind, target) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        fs::create_dir_all(target).with_context(|| format!("cannot make {target}"))?;
        match mount(Some(kind), target, Some(kind), MsFlags::empty(), None::<&str>) {
            Ok(()) | Err(Errno::EBUSY) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot mount {target}")),
        }
    }
    // Where the initrd has no /dev/console of its own, the kernel started us without one.
    let console = OpenOptions::new().read(true).write(true).open("/dev/console").context("cannot open /dev/console")?;
    dup2_stdin(&console).and_then(|()| dup2_stdout(&console)).and_then(|()| dup2_stderr(&console))?;
    Ok(())
}

/// Makes one attempt. One that succeeds has rebooted the machine, or put its system into memory: then this process becomes that
/// system's.
fn attempt() {
    let outcome = spawn(ATTEMPT);
    if let Ok(WaitStatus::Exited(_, 0)) = outcome {
        let Err(error) = start_system();
        say(format_args!("cannot start the system in memory: {error:#}"));
    }
    report(outcome);
}

/// Hands over to the init of the image's initial RAM file system, which finds its root by the kernel's command line. It mounts
/// for itself what this program has mounted.
fn start_system() -> Result<Infallible> {
    for target in ["/dev", "/sys", "/proc"] {
        umount2(target, MntFlags::MNT_DETACH).with_context(|| format!("cannot unmount {target}"))?;
    }
    execv(c"/init", &[c"/init"]).context("cannot run /init")
}

/// Runs this program as a child, and waits for it.
fn spawn(role: &str) -> Result<WaitStatus> {
    let child = Command::new(Path::new("/proc/self/exe"))
        .arg(role)
        .env("PATH", "/sbin:/usr/sbin:/bin:/usr/bin")
        .spawn()
        .context("cannot start a process")?;
    let child = Pid::from_raw(i32::try_from(child.id()).context("a process number is positive")?);
    loop {
        // Any child: PID 1 inherits the children of all who died, and nobody else takes them away.
        match waitpid(None, None) {
            Ok(status @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..))) if status.pid() == Some(child) => {
                return Ok(status);
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("cannot wait for a process"),
        }
    }
}

/// Says what the child itself could not say any more.
fn report(outcome: Result<WaitStatus>) {
    match outcome {
        Ok(WaitStatus::Signaled(_, signal, _)) => say(format_args!("the process was ended by {signal}")),
        Ok(_) => {}
        Err(error) => say(format_args!("{error:#}")),
    }
}

const BEFORE_THE_NEXT_SHELL: Duration = Duration::from_secs(5);

/// The delays between attempts, in seconds.
const DELAYS: [u64; 7] = [5, 10, 20, 40, 80, 160, 300];
