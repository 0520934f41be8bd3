use crate::error::Result;
use crate::home::Home;
use crate::provisioner::Provisioner;
use crate::ui::Ui;

/// Stops the server on the provisioner, which goes on running itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab provisioner stop")]
pub(crate) struct Stop {}

impl Stop {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let provisioner = Provisioner::find(home)?;
        provisioner.login(home)?.run("sudo systemctl stop pxe-server.service")?;
        ui.say(format_args!("{} serves no longer", provisioner.name()));
        Ok(())
    }
}
