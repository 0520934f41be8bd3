//! `cargo xtask`: the commands that people and CI run.
//!
//! One file for each command; what several of them need is beside them: [`cache`] keeps what was built or fetched outside
//! of the clone, [`packages`] installs what the machine lacks, [`progress`] shows what a long step is doing.

mod cache;
mod image;
mod packages;
mod progress;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use packages::Consent;

/// Builds, tests and shows pvmlab.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Installs missing packages without asking.
    #[arg(long, global = true)]
    yes: bool,
}

#[derive(Subcommand)]
enum Command {
    Image(image::Arguments),
    Packages(packages::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let consent = Consent::from_flag(arguments.yes);

    let outcome = match arguments.command {
        Command::Image(arguments) => image::run(&arguments, consent),
        Command::Packages(arguments) => packages::run(&arguments, consent),
    };

    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
