//! Running programs of the other architecture, as package scripts of a foreign image need it.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};
use lab_model::Arch;

/// Sees to it that the kernel runs programs for `arch`, if need be under emulation.
///
/// # Errors
/// It does not, and cannot be told to without root or without `qemu-user-static`.
pub(super) fn require(arch: Arch) -> Result<()> {
    if is_native(arch) || is_registered(arch) {
        return Ok(());
    }
    let rule_file = format!("/usr/lib/binfmt.d/qemu-{arch}.conf");
    ensure!(
        nix::unistd::geteuid().is_root(),
        "this machine does not run {arch} programs: install qemu-user-static, or register it as root: \
         systemctl restart systemd-binfmt"
    );
    if !Path::new(REGISTER).exists() {
        let status = Command::new("mount").args(["-t", "binfmt_misc", "binfmt_misc", FOLDER]).status()?;
        ensure!(status.success(), "cannot mount binfmt_misc on {FOLDER}");
    }
    if is_registered(arch) {
        return Ok(());
    }
    let rules = fs::read_to_string(&rule_file).with_context(|| format!("cannot read {rule_file}"))?;
    for rule in rules.lines().filter(|line| line.starts_with(':')) {
        fs::write(REGISTER, rule).with_context(|| format!("cannot register {rule_file}"))?;
    }
    if !is_registered(arch) {
        bail!("{rule_file} did not register {arch}");
    }
    Ok(())
}

/// Whether this machine runs `arch` without help.
pub(super) fn is_native(arch: Arch) -> bool {
    arch.as_str() == std::env::consts::ARCH
}

fn is_registered(arch: Arch) -> bool {
    fs::read_to_string(format!("{FOLDER}/qemu-{arch}")).is_ok_and(|state| state.starts_with("enabled"))
}

const FOLDER: &str = "/proc/sys/fs/binfmt_misc";
const REGISTER: &str = "/proc/sys/fs/binfmt_misc/register";
