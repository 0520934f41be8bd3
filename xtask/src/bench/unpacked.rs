//! Fetches programs of Debian packages that are unpacked and not installed.

use anyhow::{Context as _, Result};
use lab_tests::{TftpPeers, Unpacked};

use crate::{cache::Cache, debian::Suite};

/// Fetches the TFTP servers that ours is compared with.
///
/// # Errors
/// Debian's archive cannot be reached.
pub(crate) fn tftp() -> Result<Unpacked> {
    fetch("tftp", &TftpPeers::PACKAGES)
}

/// Fetches these packages, once; `name` is what the cache calls them.
///
/// # Errors
/// Debian's archive cannot be reached.
pub(crate) fn fetch(name: &str, packages: &[&str]) -> Result<Unpacked> {
    let recipe = format!("Debian {SUITE}: {}\n", packages.join(" "));
    let folder = Cache::of_user()?.entry(&format!("peers/{name}"), &recipe, |folder| {
        let suite = Suite::open(SUITE)?;
        packages.iter().try_for_each(|package| {
            let versions = suite.versions(package)?;
            let newest = versions.first().with_context(|| format!("Debian {SUITE} has no {package}"))?;
            suite.unpack(package, newest, folder)
        })
    })?;
    Ok(Unpacked::at(folder))
}

/// Its programs run on any later system.
const SUITE: &str = "bookworm";
