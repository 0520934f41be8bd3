use clap_complete::ArgValueCompleter;
use lab_model::MachineName;

use crate::commands::completion;
use crate::error::Result;
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::snapshot::{self, SnapshotName};
use crate::ssh;
use crate::store::Store;
use crate::ui::Ui;

/// Makes a machine's disk and firmware variables what they were at a snapshot; what came since is lost.
///
/// The machine must be off. Its definition and hardware stay as they are, and the snapshot can be restored again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pvmlab vm stop web && pvmlab vm restore web before-upgrade && pvmlab vm start web
  pvmlab vm snapshots web               # which there are")]
pub(crate) struct Restore {
    /// Which machine.
    #[arg(add = ArgValueCompleter::new(completion::machines))]
    name: MachineName,
    /// Which of its snapshots.
    snapshot: SnapshotName,
}

impl Restore {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let _interrupt = Interrupt::hold();
        let lock = home.lock()?;
        Store::read(home)?.find(&self.name)?;
        snapshot::restore(home, &self.name, &self.snapshot, &lock)?;
        // It may have been installed anew since, with another host key.
        ssh::forget(home, &self.name)?;
        ui.say(format_args!("`{}` is as it was at snapshot `{}`", self.name, self.snapshot));
        Ok(())
    }
}
