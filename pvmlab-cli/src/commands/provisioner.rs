//! `pvmlab provisioner …`: the machine that serves the others.

pub(crate) mod create;

use std::process::ExitCode;

use crate::error::Result;
use crate::home::Home;
use crate::ui::Ui;

/// Makes and looks after the machine that serves the others.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Provisioner {
    Create(create::Create),
}

impl Provisioner {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<ExitCode> {
        match self {
            Self::Create(create) => create.run(home, ui)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
