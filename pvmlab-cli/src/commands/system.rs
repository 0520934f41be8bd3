//! What is set up once for a computer.

pub(crate) mod setup_launchd;

use clap::Subcommand;

use crate::error::Result;
use crate::ui::Ui;

/// Sets up this computer, once for all labs.
#[derive(Debug, Subcommand)]
pub(crate) enum System {
    SetupLaunchd(setup_launchd::SetupLaunchd),
}

impl System {
    pub(crate) fn run(self, ui: Ui) -> Result<()> {
        match self {
            Self::SetupLaunchd(setup) => setup.run(ui),
        }
    }
}
