use clap_complete::ArgValueCompleter;
use lab_model::MachineName;

use crate::commands::completion;
use crate::error::Result;
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::snapshot::{self, Snapshot, SnapshotName};
use crate::store::Store;
use crate::table::table;
use crate::ui::Ui;

/// Lists a machine's snapshots, oldest first, or removes one.
///
/// As JSON: a list, each with `name` and `taken` (RFC 3339 in UTC).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pvmlab vm snapshots web
  pvmlab vm snapshots web --json
  pvmlab vm snapshots web --remove before-upgrade")]
pub(crate) struct Snapshots {
    /// Which machine.
    #[arg(add = ArgValueCompleter::new(completion::machines))]
    name: MachineName,
    /// Forgets this snapshot; the machine must be off, and its disk stays as it is.
    #[arg(long, value_name = "SNAPSHOT")]
    remove: Option<SnapshotName>,
}

impl Snapshots {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        if let Some(snapshot) = &self.remove {
            let _interrupt = Interrupt::hold();
            let lock = home.lock()?;
            Store::read(home)?.find(&self.name)?;
            snapshot::remove(home, &self.name, snapshot, &lock)?;
            ui.say(format_args!("removed snapshot `{snapshot}` of `{}`", self.name));
            return Ok(());
        }
        Store::read(home)?.find(&self.name)?;
        let snapshots = snapshot::of(home, &self.name)?;
        if snapshots.is_empty() && !ui.json {
            ui.say(format_args!("`{0}` has no snapshots: take one with `pvmlab vm snapshot {0}`", self.name));
            return Ok(());
        }
        ui.data(&snapshots, |snapshots| table(["SNAPSHOT", "TAKEN"], &snapshots.iter().map(cells).collect::<Vec<_>>()))
    }
}

fn cells(Snapshot { name, taken }: &Snapshot) -> [String; 2] {
    [name.clone(), taken.to_string()]
}
