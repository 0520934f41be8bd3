use clap_complete::ArgValueCompleter;
use jiff::Timestamp;
use lab_model::MachineName;

use crate::commands::completion;
use crate::error::Result;
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::snapshot::{self, SnapshotName};
use crate::store::Store;
use crate::ui::Ui;

/// Keeps what a machine's disk and firmware variables are now, to come back to it; the machine must be off.
///
/// The snapshot is inside of the disk's own file, and takes the room of what changes afterwards. It goes with the disk: `pvmlab vm
/// reinstall` and `clean` lose it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pvmlab vm snapshot web before-upgrade
  pvmlab vm snapshot web                # named after the time
  pvmlab vm restore web before-upgrade")]
pub(crate) struct Take {
    /// Which machine.
    #[arg(add = ArgValueCompleter::new(completion::machines))]
    name: MachineName,
    /// The snapshot's name; the time in UTC otherwise.
    snapshot: Option<SnapshotName>,
}

impl Take {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let _interrupt = Interrupt::hold();
        let lock = home.lock()?;
        Store::read(home)?.find(&self.name)?;
        let snapshot = self.snapshot.unwrap_or_else(|| SnapshotName::of_moment(Timestamp::now()));
        snapshot::take(home, &self.name, &snapshot, &lock)?;
        ui.say(format_args!("took snapshot `{snapshot}` of `{}`", self.name));
        Ok(())
    }
}
