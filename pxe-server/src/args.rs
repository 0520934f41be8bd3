//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::check::{self, Depth};
use crate::config::Config;
use crate::daemon::{self, Services};
use crate::leases::{ExportFormat, Import, List, export};
use crate::log;

/// Boots machines over the network: DHCP, TFTP and HTTP in one program.
#[derive(Debug, Parser)]
#[command(name = "pxe-server", version, after_help = EXAMPLES)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the lab until SIGTERM or SIGINT.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve {
        /// The configuration; `lab.interface` is all that it must say.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Answers HTTP only, needs no privilege and no interface: for networks whose own DHCP server hands out our URL.
        #[arg(long)]
        http_only: bool,
    },
    /// Says what is wrong with a configuration, its definitions and its images, without serving.
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        /// The configuration.
        #[arg(value_name = "FILE")]
        config: PathBuf,
        /// Believes manifests about their files instead of reading every image whole.
        #[arg(long)]
        quick: bool,
        /// Also says what is different from this one, and what of it only a restart brings into force.
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
    },
    /// Shows, exports and imports leases.
    Leases {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = "/etc/pxe-server/config.toml", global = true)]
        config: PathBuf,
        #[command(subcommand)]
        command: LeasesCommand,
    },
}

/// What is done with leases.
#[derive(Debug, Subcommand)]
enum LeasesCommand {
    /// Shows who has which address, also while a server runs.
    #[command(after_help = LIST_EXAMPLES)]
    List(List),
    /// Prints leases as another server keeps them, also while a server runs.
    #[command(after_help = EXPORT_EXAMPLES)]
    Export {
        /// Whose file it is to be.
        #[arg(long, value_name = "FORMAT", default_value = "json")]
        format: ExportFormat,
    },
    /// Takes over another server's leases, while no server runs.
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(Import),
}

const EXAMPLES: &str = "\
Examples:
  pxe-server check /etc/pxe-server/config.toml
  pxe-server serve --config /etc/pxe-server/config.toml";

const SERVE_EXAMPLES: &str = "\
Examples:
  pxe-server serve --config /etc/pxe-server/config.toml
  pxe-server serve --config qemu-user-network.toml --http-only

Privileges:
  CAP_NET_BIND_SERVICE   for ports below 1024
  CAP_NET_RAW            for frames to a machine that has no address yet, to ask whether an address is in use, and for router
                         advertisements; without it the first are broadcasts, and the others are left out
  CAP_NET_ADMIN          for NAT, which does not start without it
  The systemd unit grants them; for a program run by hand:
  sudo setcap cap_net_bind_service,cap_net_admin,cap_net_raw+ep pxe-server

On SIGHUP, and when the file changes, the configuration is read anew: all of it comes into force, or nothing, and what only a restart
changes is said.

Under systemd the log has fields: journalctl -u pxe-server MACHINE=web, or STAGE=ack.

Exit code: 0 after SIGTERM or SIGINT, 1 if it could not start or a service ended by itself.";

const CHECK_EXAMPLES: &str = "\
Examples:
  pxe-server check /etc/pxe-server/config.toml && systemctl reload pxe-server
  pxe-server check new.toml --against /etc/pxe-server/config.toml

Exit code: 0 if all is well, 1 if something is wrong.";

const LIST_EXAMPLES: &str = "\
Examples:
  pxe-server leases list
  pxe-server leases list 10.77.0.130
  pxe-server leases list web 52:54:00:00:00:07 --json";

const EXPORT_EXAMPLES: &str = "\
Examples:
  pxe-server leases export > leases.jsonl
  pxe-server leases export --format kea > /var/lib/kea/kea-leases4.csv";

const IMPORT_EXAMPLES: &str = "\
Examples:
  systemctl stop kea-dhcp4-server
  pxe-server leases import /var/lib/kea/kea-leases4.csv --dry-run
  pxe-server leases import /var/lib/kea/kea-leases4.csv && systemctl start pxe-server
  pxe-server leases import /var/lib/misc/dnsmasq.leases
  pxe-server leases import /var/lib/dhcp/dhcpd.leases --format isc

What is left out is said with its line, and why: a lease that has ended, an address of no subnet or pool or of another machine.

Exit code: 0 if all that can be used was imported, 1 if something could not be read.";

/// Does what the command line says; the exit code is 0 for success, 1 for a failure, 2 for a command line that is none.
pub fn run() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Serve { config, http_only } => serve(&config, http_only),
        Command::Check { config, quick, against } => {
            check::run(&config, if quick { Depth::Quick } else { Depth::Whole }, against.as_deref())
        }
        Command::Leases { config, command } => leases(&config, &command),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(config: &std::path::Path, http_only: bool) -> anyhow::Result<ExitCode> {
    let config = Config::read(config)?;
    let log = log::start(&config.log);
    let services = if http_only { Services::HttpOnly } else { Services::All };
    daemon::run(config, services, log)
}

fn leases(config: &std::path::Path, command: &LeasesCommand) -> anyhow::Result<ExitCode> {
    let config = Config::read(config)?;
    match command {
        LeasesCommand::List(list) => list.run(&config)?,
        LeasesCommand::Export { format } => export(&config, *format)?,
        LeasesCommand::Import(import) => return import.run(&config),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_systemd_unit_starts_it_with_a_command_line_that_it_knows() {
        let unit = include_str!("../../systemd/pxe-server.service");
        let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a service starts something");

        let args = Args::try_parse_from(start.split_whitespace()).expect("its command line");

        assert!(matches!(args.command, Command::Serve { http_only: false, .. }), "{args:?}");
    }

    #[test]
    fn help_says_what_each_command_does() {
        let help = |command: &str| {
            let mut args = Args::command().term_width(100);
            args.build();
            let words = command.split(' ');
            let found = words.fold(&mut args, |args, word| args.find_subcommand_mut(word).expect("a command"));
            found.render_long_help().to_string()
        };

        insta::assert_snapshot!("help_serve", help("serve"));
        insta::assert_snapshot!("help_check", help("check"));
        insta::assert_snapshot!("help_leases_list", help("leases list"));
        insta::assert_snapshot!("help_leases_export", help("leases export"));
        insta::assert_snapshot!("help_leases_import", help("leases import"));
    }
}
