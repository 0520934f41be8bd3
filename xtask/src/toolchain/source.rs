//! The source of the standard library, for targets that it has to be built for.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::output;
use crate::{cache::Cache, debian::Suite, progress::Step};

/// The folder `library` of the source of the compiler in use, from a Debian suite that has just that version.
///
/// # Errors
/// None has.
pub(super) fn library(cache: &Cache) -> Result<PathBuf> {
    let version = compiler_version()?;
    let folder = cache.entry(&format!("rust-src/{version}"), &version, |folder| {
        let mut step = Step::start(format!("fetching the source of the standard library {version}"));
        let mut reasons = Vec::new();
        for name in SUITES {
            step.note(&format!("looking in Debian {name}"));
            match fetch(name, &version, folder) {
                Ok(()) => {
                    step.finish();
                    return Ok(());
                }
                Err(reason) => reasons.push(format!("{reason:#}")),
            }
        }
        bail!("no source of the standard library {version}: {}", reasons.join("; "))
    })?;
    Ok(folder.join("library"))
}

fn fetch(suite: &str, version: &str, folder: &Path) -> Result<()> {
    let suite = Suite::open(suite)?;
    let revisions = format!("{version}+");
    let found = suite.versions("rust-src")?.into_iter().find(|found| found.starts_with(&revisions));
    let found = found.with_context(|| format!("Debian {} has another version", suite.name()))?;
    let unpacked = tempfile::tempdir_in(folder)?;
    suite.unpack("rust-src", &found, unpacked.path())?;
    fs::rename(unpacked.path().join(format!("usr/src/rustc-{version}/library")), folder.join("library"))?;
    Ok(())
}

/// The version of the compiler in use, such as `1.95.0`.
fn compiler_version() -> Result<String> {
    let text = output("rustc", ["--version", "--verbose"])?;
    let release = text.lines().find_map(|line| line.strip_prefix("release: "));
    Ok(release.context("rustc does not say its version")?.to_owned())
}

/// The suites that may have a compiler of the version that `rust-toolchain.toml` names, the likely one first.
const SUITES: [&str; 4] = ["trixie-backports", "trixie", "forky", "sid"];
