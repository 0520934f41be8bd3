//! QEMU as it is installed: which program, of which version.

use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use lab_model::Arch;

use crate::error::{Failure, Kind, Result};
use crate::host::{Host, Program};

/// An emulator that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Emulator {
    pub(crate) program: PathBuf,
    pub(crate) version: Version,
}

/// A version of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl Emulator {
    /// The emulator of machines with this architecture.
    ///
    /// # Errors
    /// It is not installed, or too old.
    pub(crate) fn find(arch: Arch, host: &Host) -> Result<Self> {
        let program = host.program(Program::Qemu(arch))?;
        let mut command = Command::new(&program);
        let output = command.arg("--version").stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("cannot run {}", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = Version::parse(&text).ok_or_else(|| {
            Failure::new(
                Kind::Missing,
                format!("{} does not tell its version: it printed `{}`", program.display(), text.trim()),
            )
        })?;
        if version < OLDEST {
            return Err(Failure::new(Kind::Missing, format!("{} has version {version}", program.display()))
                .hinted(format!("install QEMU {OLDEST} or newer: the lab network needs its `-netdev stream`")));
        }
        Ok(Self { program, version })
    }
}

impl Version {
    /// Reads what `--version` prints: `QEMU emulator version 7.2.22 (Debian …)`.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_once("version ")?.1.split(|c: char| !c.is_ascii_digit());
        Some(Self { major: numbers.next()?.parse().ok()?, minor: numbers.next()?.parse().ok()? })
    }
}

/// The first with `-netdev stream`.
const OLDEST: Version = Version { major: 7, minor: 2 };

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_qemu_prints_them() {
        let version = |text| Version::parse(text).map(|version| version.to_string());

        assert_eq!(version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright"), Some("7.2".to_owned()));
        assert_eq!(version("QEMU emulator version 10.0.2\n"), Some("10.0".to_owned()));
        assert_eq!(version("something else"), None);
    }
}
