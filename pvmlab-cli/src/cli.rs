//! The command line: every command, and what is true for all of them.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands;
use crate::error::Result;
use crate::home::Home;
use crate::ui::Ui;

/// Builds, boots and looks after the virtual machines of a lab: a provisioner that serves, targets that boot from it.
#[derive(Debug, Parser)]
#[command(name = "pvmlab", version, after_help = AFTER_HELP)]
struct Cli {
    /// Prints data as JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Says nothing but errors.
    #[arg(long, short, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Setup(commands::setup::Setup),
    Up(commands::up::Up),
    Down(commands::down::Down),
    Status(commands::status::Status),
    Clean(commands::clean::Clean),
    #[command(subcommand)]
    Provisioner(commands::provisioner::Provisioner),
    #[command(subcommand)]
    Vm(commands::vm::Vm),
    #[command(subcommand)]
    Distro(commands::distro::Distro),
    #[command(subcommand)]
    Profile(commands::profile::Profile),
    Doctor(commands::doctor::Doctor),
    Completion(commands::completion::Completion),
    #[command(hide = true)]
    Reference(commands::reference::Reference),
    #[command(subcommand, name = "socket_vmnet")]
    SocketVmnet(commands::socket_vmnet::SocketVmnet),
    #[command(subcommand)]
    System(commands::system::System),
    #[command(hide = true)]
    NetworkSwitch(commands::network_switch::NetworkSwitch),
}

const AFTER_HELP: &str = "\
Environment:
  PVMLAB_HOME           the lab's home, ~/.pvmlab otherwise
  PVMLAB_PXE_SERVER     the server for provisioners; otherwise the one that came with this program
  PVMLAB_QEMU_ACCEL     kvm, hvf or tcg; otherwise the fastest that is proved to work
  PVMLAB_SOCKET_VMNET_PATH, PVMLAB_SOCKET_VMNET_CLIENT
                        macOS: where socket_vmnet listens, and the program that connects in QEMU's stead

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict, 5 the host lacks something, 6 timed out,
130 interrupted.";

/// Does what the command line says.
pub fn run() -> ExitCode {
    clap_complete::CompleteEnv::with_factory(command).var(commands::completion::VARIABLE).complete();
    let cli = Cli::parse();
    let ui = Ui { json: cli.json, quiet: cli.quiet };
    match dispatch(cli.command, ui) {
        Ok(code) => code,
        Err(failure) => {
            failure.print();
            ExitCode::from(&failure)
        }
    }
}

/// The command line's definition, of which man pages, the reference and completions are made.
pub fn command() -> clap::Command {
    Cli::command()
}

fn dispatch(command: Command, ui: Ui) -> Result<ExitCode> {
    let home = Home::from_environment()?;
    match command {
        Command::Setup(setup) => setup.run(&home, ui)?,
        Command::Clean(clean) => clean.run(&home, ui)?,
        Command::Up(up) => up.run(&home, ui)?,
        Command::Down(down) => down.run(&home, ui)?,
        Command::Status(status) => status.run(&home, ui)?,
        Command::Provisioner(provisioner) => return provisioner.run(&home, ui),
        Command::Vm(vm) => return vm.run(&home, ui),
        Command::Distro(distro) => return distro.run(&home, ui),
        Command::Profile(profile) => profile.run(&home, ui)?,
        Command::Doctor(doctor) => return doctor.run(&home, ui),
        Command::Completion(completion) => completion.run()?,
        Command::Reference(reference) => reference.run()?,
        Command::SocketVmnet(socket_vmnet) => socket_vmnet.run(ui)?,
        Command::System(system) => system.run(ui)?,
        Command::NetworkSwitch(switch) => switch.run(&home)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        super::command().debug_assert();
    }
}
