use crate::error::Result;
use crate::home::Home;
use crate::provisioner::Provisioner;
use crate::ui::Ui;

/// Starts the server on the provisioner, which must be running itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab provisioner start")]
pub(crate) struct Start {}

impl Start {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let provisioner = Provisioner::find(home)?;
        provisioner.login(home)?.run("sudo systemctl enable --now pxe-server.service")?;
        ui.say(format_args!("{} serves", provisioner.name()));
        Ok(())
    }
}
