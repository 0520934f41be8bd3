//! The initrd's shell on the machine's console.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::path::Path;

use anyhow::{Context, Result};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, execv, setsid};

/// Becomes a shell, with the console as its terminal so that it has job control and Ctrl-C.
///
/// # Errors
/// There is no such program, or it is for another machine.
pub fn run() -> Result<Infallible> {
    // Who starts a session and opens a terminal that nobody controls, controls it (tty(4)). /dev/console itself never is such
    // a terminal, but one of those behind it is; the kernel lists the one that it reads from last.
    setsid().context("cannot start a session")?;
    let active = fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    let name = active.split_ascii_whitespace().next_back().map(|name| match name {
        "tty0" => "tty1",
        name => name,
    });
    let terminal = name.map(|name| OpenOptions::new().read(true).write(true).open(format!("/dev/{name}")));
    if let Some(Ok(terminal)) = terminal {
        dup2_stdin(&terminal).and_then(|()| dup2_stdout(&terminal)).and_then(|()| dup2_stderr(&terminal))?;
    }
    let shell = CString::new(PROGRAM)?;
    execv(&shell, &[&shell]).context("the initrd's shell does not start")
}

/// Whether the initrd under `root` has a shell.
pub fn is_there(root: &Path) -> bool {
    root.join(PROGRAM.trim_start_matches('/')).is_file()
}

/// The shell that every initrd has which has one.
pub const PROGRAM: &str = "/bin/sh";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_no_shell() {
        let root = tempfile::tempdir().expect("a folder");
        fs::create_dir(root.path().join("bin")).expect("a folder");
        assert!(!is_there(root.path()));

        symlink("dash", root.path().join("bin/sh")).expect("a link");
        assert!(!is_there(root.path()));

        fs::write(root.path().join("bin/dash"), "").expect("a file");
        assert!(is_there(root.path()));
    }
}
