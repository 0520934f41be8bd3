//! The host: its system, its processor, and where its programs and QEMU's data are.
//!
//! A value like any other: tests make a macOS host on Linux.

use std::fmt;
use std::path::PathBuf;

use lab_model::Arch;

use crate::error::{Failure, Kind, Result};

/// The machine that the lab runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// Its operating system.
    pub(crate) os: Os,
    /// What its processor executes.
    pub(crate) arch: Arch,
    /// The folders that programs are looked for in; the first that has one wins.
    pub(crate) program_folders: Vec<PathBuf>,
    /// The folders that `qemu/firmware/*.json` is looked for in.
    pub(crate) data_folders: Vec<PathBuf>,
}

/// An operating system that labs run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Os {
    Linux,
    Macos,
}

/// A program of somebody else's that a lab needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// The emulator of one architecture.
    Qemu(Arch),
}

impl Host {
    /// This host.
    ///
    /// # Errors
    /// Labs do not run on such a system or processor.
    pub(crate) fn here() -> Result<Self> {
        let os = match std::env::consts::OS {
            "linux" => Os::Linux,
            "macos" => Os::Macos,
            other => {
                return Err(Failure::new(Kind::Missing, format!("pvmlab runs on Linux and macOS, not on {other}")));
            }
        };
        let arch = std::env::consts::ARCH.parse().map_err(|_| {
            Failure::new(Kind::Missing, format!("pvmlab runs on aarch64 and x86_64, not on {}", std::env::consts::ARCH))
        })?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut program_folders: Vec<PathBuf> =
            std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
        // What Homebrew installs is not on the path of every way to start a program.
        let (more_programs, data): (&[&str], &[&str]) = match os {
            Os::Linux => (&[], &["/etc", "/usr/local/share", "/usr/share"]),
            Os::Macos => (&["/opt/homebrew/bin", "/usr/local/bin"], &["/opt/homebrew/share", "/usr/local/share"]),
        };
        program_folders.extend(more_programs.iter().map(PathBuf::from));
        Ok(Self { os, arch, program_folders, data_folders: data.iter().map(PathBuf::from).collect() })
    }

    /// Where a program is.
    ///
    /// # Errors
    /// It is not installed; the hint says how to install it here.
    pub(crate) fn program(&self, program: Program) -> Result<PathBuf> {
        let name = program.to_string();
        let found = self.program_folders.iter().map(|folder| folder.join(&name)).find(|path| path.is_file());
        found.ok_or_else(|| {
            Failure::new(Kind::Missing, format!("there is no {name} on this host"))
                .hinted(format!("install it: {}", self.how_to_install(program)))
        })
    }

    fn how_to_install(&self, program: Program) -> &'static str {
        match (self.os, program) {
            (Os::Macos, Program::Qemu(_)) => "`brew install qemu`",
            (Os::Linux, Program::Qemu(Arch::Aarch64)) => {
                "package `qemu-system-arm` on Debian and Ubuntu, `qemu-system-aarch64` on Fedora and Arch"
            }
            (Os::Linux, Program::Qemu(Arch::X86_64)) => "package `qemu-system-x86`",
        }
    }
}

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linux => "Linux",
            Self::Macos => "macOS",
        })
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Qemu(arch) => write!(f, "qemu-system-{arch}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_that_has_a_program_wins() {
        let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
        for folder in &folders {
            std::fs::write(folder.path().join("qemu-system-aarch64"), "").expect("a file");
        }
        let host = host(Os::Linux, folders.iter().map(|folder| folder.path().to_owned()).collect());

        assert_eq!(
            host.program(Program::Qemu(Arch::Aarch64)).expect("there"),
            folders[0].path().join("qemu-system-aarch64")
        );
    }

    #[test]
    fn who_lacks_a_program_is_told_how_to_install_it_there() {
        let failure = |os| {
            let failure = host(os, Vec::new()).program(Program::Qemu(Arch::Aarch64)).expect_err("not there");
            format!("{failure:?}")
        };

        assert!(failure(Os::Linux).contains("package `qemu-system-arm`"), "{}", failure(Os::Linux));
        assert!(failure(Os::Macos).contains("brew install qemu"), "{}", failure(Os::Macos));
    }

    fn host(os: Os, program_folders: Vec<PathBuf>) -> Host {
        Host { os, arch: Arch::Aarch64, program_folders, data_folders: Vec::new() }
    }
}
