//! `cargo xtask deny`: whether each dependency is one that `deny.toml` allows.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{cache::Cache, tools, workspace};

/// Checks the dependencies against deny.toml: bans, licenses and sources.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask deny")]
pub(crate) struct Arguments {}

/// Runs `cargo xtask deny`.
pub(crate) fn run(_: &Arguments) -> Result<()> {
    let deny = tools::DENY.require(&Cache::of_user()?)?;
    let status = Command::new(&deny)
        .args(["--locked", "check", "bans", "licenses", "sources"])
        .current_dir(workspace())
        .status()
        .with_context(|| format!("cannot run {}", deny.display()))?;
    ensure!(status.success(), "the dependencies are not what deny.toml allows");
    Ok(())
}
