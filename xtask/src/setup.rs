//! `cargo xtask setup`: what the other commands need, so that none of them stops to fetch it.

use anyhow::Result;

use crate::{
    cache::Cache,
    packages::{self, Consent},
    toolchain::Zig,
    tools,
};

/// Installs what the other commands need.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask setup --yes")]
pub(crate) struct Arguments {}

/// Runs `cargo xtask setup`.
pub(crate) fn run(_: &Arguments, consent: Consent) -> Result<()> {
    packages::require_all(consent)?;
    let cache = Cache::of_user()?;
    for tool in [tools::DENY, tools::NEXTEST] {
        tool.require(&cache)?;
    }
    Zig::require(&cache)?;
    println!("all packages and tools are there");
    Ok(())
}
