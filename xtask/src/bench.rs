//! `cargo xtask bench`: how fast, how small, and beside what.
//!
//! Each bench prints what it measured, writes it as JSON when asked to, and knows its targets: with `--check` a missed one
//! is a failure.

mod boot;
mod original;
mod report;
mod server;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use lab_model::Arch;

use crate::packages::Consent;

/// Measures pxe-server.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    bench: Bench,
    /// Writes the figures to this file as well.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fails when a target is missed.
    #[arg(long, global = true)]
    check: bool,
}

#[derive(clap::Subcommand)]
enum Bench {
    /// From the boot program's download to the kernel's start, beside dnsmasq and nginx.
    ///
    /// Both have the same firmware, the same iPXE and the same emulator, and take turns.
    Boot {
        /// The machine's processor.
        #[arg(long, default_value = "aarch64")]
        arch: Arch,
        /// How often each boots.
        #[arg(long, default_value = "3", value_parser = clap::value_parser!(u8).range(1..=50))]
        runs: u8,
    },
    /// Memory while idle, and time from start to the first answers.
    Server {
        /// How often it is started.
        #[arg(long, default_value = "10", value_parser = clap::value_parser!(u8).range(1..=200))]
        runs: u8,
    },
}

/// Runs `cargo xtask bench`.
pub(crate) fn run(arguments: &Arguments, consent: Consent) -> Result<()> {
    let report = match arguments.bench {
        Bench::Boot { arch, runs } => boot::measure(arch, runs, consent)?,
        Bench::Server { runs } => server::measure(runs, consent)?,
    };
    println!("{report}");
    if let Some(file) = &arguments.json {
        report.write(file)?;
    }
    let missed = report.missed();
    ensure!(!arguments.check || missed.is_empty(), "missed: {}", missed.join(", "));
    Ok(())
}
