//! From the installer to the installed system.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use lab_model::{AfterInstall, InstallerConfig, Kexec, RemoteFile};
use nix::sys::reboot::RebootMode;
use nix::unistd::sync;
use ureq::Agent;

use crate::console::say;
use crate::{Patience, fetch, kexec};

/// Prepares what the configuration asks for; where that cannot be had, the machine goes through its firmware.
pub fn prepare(config: &InstallerConfig, agent: &Agent, patience: Patience) -> RebootMode {
    match (config.after_install, &config.kexec) {
        (AfterInstall::Reboot, _) => RebootMode::RB_AUTOBOOT,
        (AfterInstall::PowerOff, _) => RebootMode::RB_POWER_OFF,
        (AfterInstall::Kexec, None) => {
            say("the image does not say how its kernel is started: rebooting instead of kexec");
            RebootMode::RB_AUTOBOOT
        }
        (AfterInstall::Kexec, Some(kexec)) => match load(kexec, agent, patience) {
            Ok(()) => RebootMode::RB_KEXEC,
            Err(error) => {
                say(format_args!("rebooting instead of kexec: {error:#}"));
                RebootMode::RB_AUTOBOOT
            }
        },
    }
}

/// What is about to happen, for people.
pub fn describe(mode: &RebootMode) -> &'static str {
    match mode {
        RebootMode::RB_KEXEC => "starting the installed kernel",
        RebootMode::RB_POWER_OFF => "switching off",
        // The kernel's other modes are not asked for here.
        _ => "rebooting",
    }
}

/// Writes everything back, and leaves this kernel; returns only when the kernel refuses.
pub fn go(mode: RebootMode) {
    sync();
    let kexec = matches!(mode, RebootMode::RB_KEXEC);
    let Err(error) = nix::sys::reboot::reboot(mode);
    say(format_args!("the kernel does not let go: {error}"));
    if kexec {
        go(RebootMode::RB_AUTOBOOT);
    }
}

fn load(kexec: &Kexec, agent: &Agent, patience: Patience) -> Result<()> {
    let kernel = keep(&kexec.kernel, Path::new("/pvmlab-kernel"), agent, patience)?;
    let initrd = keep(&kexec.initrd, Path::new("/pvmlab-initrd"), agent, patience)?;
    kexec::load(&kernel, &initrd, &kexec.arguments).context("the kernel does not take another one")
}

/// Fetches a file into the initrd's own memory; it has no name there, and goes when it is closed.
fn keep(file: &RemoteFile, path: &Path, agent: &Agent, patience: Patience) -> Result<File> {
    fetch::copy(agent, file, &mut File::create(path)?, patience)?;
    // Opened anew: the kernel loads no file that somebody could still write (ETXTBSY).
    let kept = File::open(path)?;
    fs::remove_file(path)?;
    Ok(kept)
}
