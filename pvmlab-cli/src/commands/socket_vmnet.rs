//! The service that carries the lab network on macOS.

pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;

use std::process::{Command, Stdio};

use anyhow::Context as _;
use clap::Subcommand;

use crate::error::{Failure, Kind, Result};
use crate::file;
use crate::host::{Host, Os};
use crate::network::socket_vmnet::Step;
use crate::qemu::command_line::CommandLine;
use crate::ui::Ui;

/// Starts, stops and shows the service that carries the lab network on macOS.
#[derive(Debug, Subcommand)]
pub(crate) enum SocketVmnet {
    Start(start::Start),
    Stop(stop::Stop),
    Status(status::Status),
}

impl SocketVmnet {
    pub(crate) fn run(self, ui: Ui) -> Result<()> {
        match self {
            Self::Start(start) => start.run(ui),
            Self::Stop(stop) => stop.run(ui),
            Self::Status(status) => status.run(ui),
        }
    }
}

/// # Errors
/// This is not macOS.
pub(super) fn only_on_macos() -> Result<()> {
    match Host::here()?.os {
        Os::Macos => Ok(()),
        Os::Linux => Err(Failure::new(Kind::Usage, "socket_vmnet is for macOS alone")
            .hinted("nothing is to be set up on Linux: the first machine that starts brings the lab network up")),
    }
}

/// # Errors
/// A step failed that may not; the message names it.
pub(super) fn take(steps: Vec<Step>) -> Result<()> {
    for step in steps {
        match step {
            Step::Run(line) => {
                let status = command(&line).status().with_context(|| format!("cannot run `{line}`"))?;
                if !status.success() {
                    return Err(Failure::new(Kind::Failed, format!("`{line}` failed ({status})")));
                }
            }
            Step::Try(line) => {
                let tried = command(&line).stdout(Stdio::null()).stderr(Stdio::null()).status();
                tried.with_context(|| format!("cannot run `{line}`"))?;
            }
            Step::Write { path, text } => file::replace(&path, text.as_bytes())?,
        }
    }
    Ok(())
}

fn command(line: &CommandLine) -> Command {
    let mut command = Command::new(&line.program);
    command.args(&line.arguments);
    command
}
