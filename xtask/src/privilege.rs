//! What network namespaces take: root, or for an ordinary user the root of a user namespace.

use std::{
    env,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

/// The words before a command that an ordinary user runs as root of a user namespace.
pub(crate) const AS_ROOT: [&str; 3] = ["unshare", "--map-root-user", "--"];

/// Whether this process is root, of the machine or of a user namespace.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Checks that this process may make network namespaces, directly or by [`AS_ROOT`].
///
/// # Errors
/// It may not; the message says what to do.
pub(crate) fn check_namespaces() -> Result<()> {
    let mut probe = Command::new(AS_ROOT[0]);
    if is_root() {
        probe.args(["--net", "true"]);
    } else {
        probe.args(&AS_ROOT[1..]).args(["unshare", "--net", "true"]);
    }
    let output = probe.stdin(Stdio::null()).output().context("cannot run unshare: `cargo xtask setup` installs it")?;
    ensure!(
        output.status.success(),
        "this user may not make network namespaces ({}): run this as root, or let ordinary users make user namespaces, \
         which on some distributions is `sysctl kernel.apparmor_restrict_unprivileged_userns=0` or \
         `sysctl kernel.unprivileged_userns_clone=1`",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// The command that runs this program once more, with the same arguments, by [`AS_ROOT`].
///
/// # Errors
/// This user may not make namespaces.
pub(crate) fn again() -> Result<Command> {
    check_namespaces()?;
    let mut command = Command::new(AS_ROOT[0]);
    command
        .args(&AS_ROOT[1..])
        .arg(env::current_exe().context("cannot find this program")?)
        .args(env::args_os().skip(1));
    Ok(command)
}
