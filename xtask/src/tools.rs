//! Programs of the Rust world that cargo does not bring along: found, or built and kept in the cache.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{cache::Cache, packages, progress::Step, workspace};

/// A program that is a crate of the same name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    name: &'static str,
    /// The oldest version that will do, and the one that is built.
    version: Version,
}

type Version = [u32; 3];

/// Checks dependencies. Older versions cannot read what the pinned cargo says of packages.
pub(crate) const DENY: Tool = Tool { name: "cargo-deny", version: [0, 20, 2] };

/// Looks for input that breaks something.
pub(crate) const FUZZ: Tool = Tool { name: "cargo-fuzz", version: [0, 13, 2] };

/// Runs tests.
pub(crate) const NEXTEST: Tool = Tool { name: "cargo-nextest", version: [0, 9, 143] };

impl Tool {
    /// Where the program is: in `PATH` when its version will do, otherwise in the cache, built when it is not there.
    ///
    /// # Errors
    /// It cannot be built.
    pub(crate) fn require(self, cache: &Cache) -> Result<PathBuf> {
        if let Some(found) = packages::find(self.name).filter(|found| self.will_do(found)) {
            return Ok(found);
        }
        let version = self.version.map(|number| number.to_string()).join(".");
        let folder = cache.entry(&format!("tools/{}-{version}", self.name), &version, |folder| {
            let mut step = Step::start(format!("building {} {version}", self.name));
            let mut cargo = Command::new("cargo");
            cargo.args(["install", self.name, "--version", &version, "--locked", "--root"]).arg(folder);
            step.run(cargo.current_dir(workspace()))?;
            step.finish();
            Ok(())
        })?;
        Ok(folder.join("bin").join(self.name))
    }

    fn will_do(self, program: &PathBuf) -> bool {
        // cargo's own commands are called with their name first, as cargo does it.
        let subcommand = self.name.trim_start_matches("cargo-");
        let output = Command::new(program).args([subcommand, "--version"]).output();
        output.is_ok_and(|output| version(&String::from_utf8_lossy(&output.stdout)) >= Some(self.version))
    }
}

/// The version in what a program says of itself, such as `cargo-nextest 0.9.143 (60fa45f63 2026-08-04)`.
fn version(text: &str) -> Option<Version> {
    let word = text.split_whitespace().nth(1)?;
    let numbers: Vec<u32> = word.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_version_that_a_program_says() {
        assert_eq!(version("cargo-nextest 0.9.143 (60fa45f63 2026-08-04)\nrelease: 0.9.143\n"), Some([0, 9, 143]));
        assert_eq!(version("cargo-deny 0.20.2\n"), Some([0, 20, 2]));
    }

    #[test]
    fn what_says_no_version_is_older_than_any() {
        for text in ["", "cargo-deny", "cargo-deny unknown", "error: no such command"] {
            assert!(version(text) < Some([0, 0, 0]), "{text:?}");
        }
    }
}
