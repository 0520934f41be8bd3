use clap_complete::ArgValueCompleter;
use lab_model::MachineName;

use crate::commands::completion;
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::provisioner::serving;
use crate::removal;
use crate::store::{self, Store};
use crate::ui::Ui;

/// Stops a machine and removes it: its disk, its definition, its logs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab vm clean web\n  pvmlab vm clean --all")]
pub(crate) struct Clean {
    /// Which machine.
    #[arg(required_unless_present = "all", add = ArgValueCompleter::new(completion::machines))]
    name: Option<MachineName>,
    /// Every machine of the lab, the provisioner too.
    #[arg(long, conflicts_with = "name")]
    all: bool,
}

impl Clean {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let lock = home.lock()?;
        let store = Store::read(home)?;
        removal::sweep(home, &lock)?;
        let names = match &self.name {
            Some(name) => vec![name.clone()],
            // A file whose name is no machine's is left to whoever put it there.
            None => store::names(home).iter().filter_map(|name| name.parse().ok()).collect(),
        };
        for name in names {
            let written = store.machines().iter().find(|stored| stored.machine.name == name);
            if !removal::remove(home, &name, written.map(|stored| stored.file.as_str()), &lock)? {
                return Err(Failure::new(Kind::NotFound, format!("there is no machine `{name}`"))
                    .hinted("`pvmlab vm list` shows which there are"));
            }
            ui.say(format_args!("removed machine `{name}`"));
        }
        drop(lock);
        serving::announce(home, ui);
        Ok(())
    }
}
