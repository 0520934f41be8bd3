//! Programs of Debian packages that are unpacked and not installed, with the libraries that they need.
//!
//! As packages some of them exclude each other, and they would start by themselves.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use lab_tests::process::bound;

use crate::{cache::Cache, debian::Suite};

/// The folder in the cache where they are.
#[derive(Clone, Debug)]
pub(crate) struct Unpacked(PathBuf);

impl Unpacked {
    /// Fetches these packages, once; `name` is what the cache calls them.
    ///
    /// # Errors
    /// Debian's archive cannot be reached.
    pub(crate) fn fetch(name: &str, packages: &[&str]) -> Result<Self> {
        let recipe = format!("Debian {SUITE}: {}\n", packages.join(" "));
        let folder = Cache::of_user()?.entry(&format!("peers/{name}"), &recipe, |folder| {
            let suite = Suite::open(SUITE)?;
            packages.iter().try_for_each(|package| {
                let versions = suite.versions(package)?;
                let newest = versions.first().with_context(|| format!("Debian {SUITE} has no {package}"))?;
                suite.unpack(package, newest, folder)
            })
        })?;
        Ok(Self(folder))
    }

    /// The command that runs a program, such as `usr/sbin/atftpd`, for as long as this thread lives.
    pub(crate) fn command(&self, program: &str) -> Command {
        let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
        let libraries = ["lib", "usr/lib"].map(|place| self.0.join(place).join(&multiarch).display().to_string());
        let mut command = bound(self.0.join(program));
        command.env("LD_LIBRARY_PATH", libraries.join(":"));
        command
    }
}

/// Its programs run on any later system.
const SUITE: &str = "bookworm";
