use super::{only_on_macos, take};
use crate::error::Result;
use crate::network::socket_vmnet;
use crate::ui::Ui;

/// Stops the service until it is started again, or this computer is.
///
/// It asks for the password of an administrator.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab socket_vmnet stop")]
pub(crate) struct Stop {}

impl Stop {
    pub(crate) fn run(self, ui: Ui) -> Result<()> {
        only_on_macos()?;
        take(socket_vmnet::stop())?;
        ui.say("socket_vmnet is stopped; machines that run have no lab network until they are started again");
        Ok(())
    }
}
