use std::path::Path;

use nix::unistd::geteuid;

use crate::commands::socket_vmnet::{only_on_macos, take};
use crate::error::{Failure, Kind, Result};
use crate::network::socket_vmnet;
use crate::ui::Ui;

/// Makes socket_vmnet a service of this Mac, as root: the network that the lab's machines share.
///
/// It copies the program to /opt/socket_vmnet, where only root can change it, and has launchd run it from now on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  brew install socket_vmnet\n  sudo pvmlab system setup-launchd")]
pub(crate) struct SetupLaunchd {}

impl SetupLaunchd {
    pub(crate) fn run(self, ui: Ui) -> Result<()> {
        only_on_macos()?;
        if !geteuid().is_root() {
            return Err(Failure::new(Kind::Missing, "only root can set up a service")
                .hinted("run it with sudo: `sudo pvmlab system setup-launchd`"));
        }
        let program = PROGRAMS.iter().map(Path::new).find(|path| path.is_file()).ok_or_else(|| {
            Failure::new(Kind::Missing, "socket_vmnet is not installed")
                .hinted("install it: `brew install socket_vmnet`")
        })?;
        take(socket_vmnet::setup(program))?;
        ui.say("socket_vmnet runs, and will whenever this Mac starts");
        Ok(())
    }
}

/// Where Homebrew installs it on Apple's processors and on Intel's.
const PROGRAMS: [&str; 2] =
    ["/opt/homebrew/opt/socket_vmnet/bin/socket_vmnet", "/usr/local/opt/socket_vmnet/bin/socket_vmnet"];
