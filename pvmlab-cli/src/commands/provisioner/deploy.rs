use std::path::PathBuf;

use crate::error::Result;
use crate::home::Home;
use crate::provisioner::release::Release;
use crate::provisioner::{Provisioner, deploy};
use crate::ui::Ui;

/// Puts another pxe-server to work on the provisioner, and takes it back if it does not serve.
///
/// The new program is first asked whether it takes the configuration that is in force. Leases and the history of boots stay.
/// Machines that are being installed meanwhile go on once the server is back, after a second or two.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pvmlab provisioner deploy\n  pvmlab provisioner deploy --binary target/dist/aarch64/pxe-server"
)]
pub(crate) struct Deploy {
    /// The program, for the provisioner's architecture; without it the one that PVMLAB_PXE_SERVER names, or the one that
    /// came with this pvmlab.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

impl Deploy {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let _lock = home.lock()?;
        let provisioner = Provisioner::find(home)?;
        let login = provisioner.login(home)?;
        let release = Release::find(self.binary.as_deref(), provisioner.arch())?;
        ui.say(format_args!("deploying {} …", release.id()));
        ui.say(deploy::deploy(&login, &release)?);
        Ok(())
    }
}
