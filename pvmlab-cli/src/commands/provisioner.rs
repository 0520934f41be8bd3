//! `pvmlab provisioner …`: the machine that serves the others.

pub(crate) mod create;
pub(crate) mod deploy;
pub(crate) mod logs;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;

use std::process::ExitCode;

use crate::error::Result;
use crate::home::Home;
use crate::ui::Ui;

/// Makes and looks after the machine that serves the others.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Provisioner {
    Create(create::Create),
    Start(start::Start),
    Stop(stop::Stop),
    Status(status::Status),
    Deploy(deploy::Deploy),
    Logs(logs::Logs),
}

impl Provisioner {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<ExitCode> {
        match self {
            Self::Create(create) => create.run(home, ui)?,
            Self::Start(start) => start.run(home, ui)?,
            Self::Stop(stop) => stop.run(home, ui)?,
            Self::Status(status) => status.run(home, ui)?,
            Self::Deploy(deploy) => deploy.run(home, ui)?,
            Self::Logs(logs) => return logs.run(home),
        }
        Ok(ExitCode::SUCCESS)
    }
}
