//! `cargo xtask`: the commands that people and CI run.
//!
//! One file for each command; what several of them need is beside them: [`cache`] keeps what was built or fetched outside
//! of the clone, [`packages`] installs what the machine lacks, [`tools`] builds what no package has, [`progress`] shows what
//! a long step is doing.

mod bench;
mod boot_files;
mod cache;
mod check_macos;
mod debian;
mod demo;
mod deny;
mod dist;
mod elf;
mod fuzz;
mod image;
mod ipxe;
mod macho;
mod packages;
mod privilege;
mod progress;
mod replace;
mod setup;
mod supplies;
mod test;
mod toolchain;
mod tools;

use std::{path::Path, process::ExitCode};

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
    Bench(bench::Arguments),
    BootFiles(boot_files::Arguments),
    CheckMacos(check_macos::Arguments),
    Demo(demo::Arguments),
    Deny(deny::Arguments),
    Dist(dist::Arguments),
    Fuzz(fuzz::Arguments),
    Image(image::Arguments),
    Setup(setup::Arguments),
    Test(test::Arguments),
}

fn main() -> ExitCode {
    if let Err(error) = privilege::complete_path() {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    let arguments = Arguments::parse();
    let consent = Consent::from_flag(arguments.yes);

    let outcome = match arguments.command {
        Command::Bench(arguments) => bench::run(&arguments, consent),
        Command::BootFiles(arguments) => boot_files::run(&arguments, consent),
        Command::CheckMacos(arguments) => check_macos::run(&arguments, consent),
        Command::Demo(arguments) => demo::run(&arguments, consent),
        Command::Deny(arguments) => deny::run(&arguments),
        Command::Dist(arguments) => dist::run(&arguments, consent),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Image(arguments) => image::run(&arguments, consent),
        Command::Setup(arguments) => setup::run(&arguments, consent),
        Command::Test(arguments) => test::run(&arguments, consent),
    };

    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The clone that these commands work on.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_help_of_every_command_has_an_example() {
        let command = Arguments::command();

        for subcommand in command.get_subcommands() {
            let help = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = format!("Example: cargo xtask {}", subcommand.get_name());
            assert!(help.starts_with(&example), "{}: {help}", subcommand.get_name());
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
