use super::{only_on_macos, take};
use crate::error::Result;
use crate::network::socket_vmnet;
use crate::ui::Ui;

/// Starts the service; where it runs already, nothing happens.
///
/// It asks for the password of an administrator.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab socket_vmnet start")]
pub(crate) struct Start {}

impl Start {
    pub(crate) fn run(self, ui: Ui) -> Result<()> {
        only_on_macos()?;
        take(socket_vmnet::start())?;
        ui.say("socket_vmnet runs");
        Ok(())
    }
}
