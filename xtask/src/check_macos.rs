//! `cargo xtask check-macos`: whether the host command compiles for macOS, on a machine that is no Mac.

use anyhow::Result;

use crate::{
    cache::Cache,
    packages::{self, Consent},
    toolchain::{Program, Target, Toolchain},
};

/// Checks that pvmlab and its tests compile for macOS, lints included; nothing is linked or run, and no Mac is needed.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask check-macos")]
pub(crate) struct Arguments {}

/// Runs `cargo xtask check-macos`.
pub(crate) fn run(_: &Arguments, consent: Consent) -> Result<()> {
    packages::require(packages::MACOS, consent)?;
    Toolchain::find(Target::MacOs, &Cache::of_user()?)?.lint(Program::HostCommand)
}
