//! What an ordinary user lacks that the commands need: network namespaces, which take root or the root of a user namespace,
//! and the programs that are meant for root.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt as _,
    path::PathBuf,
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

/// Sees to it that programs are found that Debian keeps for root, such as `mke2fs`, `nft` and `dnsmasq`: with a `PATH` that
/// lacks their folders, this program is started once more with one that has them.
///
/// # Errors
/// It cannot be started.
pub(crate) fn complete_path() -> Result<()> {
    let Some(path) = completed(&env::var_os("PATH").unwrap_or_default())? else { return Ok(()) };
    let mut command = Command::new(env::current_exe().context("cannot find this program")?);
    Err(command.args(env::args_os().skip(1)).env("PATH", path).exec()).context("cannot start this program again")
}

/// `path` with the folders that it lacks; `None` when it lacks none.
fn completed(path: &OsStr) -> Result<Option<OsString>> {
    let folders: Vec<PathBuf> = env::split_paths(path).collect();
    let lacking: Vec<_> =
        ["/usr/sbin", "/sbin"].map(PathBuf::from).into_iter().filter(|folder| !folders.contains(folder)).collect();
    if lacking.is_empty() {
        return Ok(None);
    }
    env::join_paths(folders.iter().chain(&lacking)).map(Some).context("PATH cannot be extended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_gets_what_it_lacks_and_once() {
        let path = completed(OsStr::new("/home/me/bin:/usr/bin:/sbin")).unwrap();

        assert_eq!(path.as_deref(), Some(OsStr::new("/home/me/bin:/usr/bin:/sbin:/usr/sbin")));
        assert_eq!(completed(&path.unwrap()).unwrap(), None);
    }
}
