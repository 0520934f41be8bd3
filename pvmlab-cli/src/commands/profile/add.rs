use std::fs;

use anyhow::Context as _;

use crate::error::{Failure, Kind, Result};
use crate::file;
use crate::home::Home;
use crate::profiles::Shipped;
use crate::provisioner::serving;
use crate::ui::Ui;

/// Copies a profile that comes with this program into the lab, to be used and changed there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab profile add debian-preseed\n  pvmlab profile add menu --name choice")]
pub(crate) struct Add {
    /// Which of those that `pvmlab profile ls` shows as shipped.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(Shipped::ALL.iter().map(|shipped| shipped.name)))]
    shipped: String,
    /// What it is called in the lab; as it is shipped otherwise.
    #[arg(long)]
    name: Option<lab_model::ProfileName>,
}

impl Add {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let name = self.name.map_or_else(|| self.shipped.clone(), |name| name.to_string());
        let folder = home.profiles().join(&name);
        if folder.exists() {
            return Err(Failure::new(Kind::Conflict, format!("there is a profile `{name}` already"))
                .hinted(format!("change it in {}, or give another --name", folder.display())));
        }
        let shipped = Shipped::ALL.iter().find(|shipped| shipped.name == self.shipped);
        let cannot = || format!("cannot write {}", folder.display());
        fs::create_dir_all(&folder).with_context(cannot)?;
        // What says what the others are for comes last: until it is there, there is no profile.
        for (file, text) in shipped.expect("the command line takes no others").files.iter().rev() {
            file::replace(&folder.join(file), text.as_bytes())?;
        }
        ui.say(format_args!("added profile `{name}`: change it in {}", folder.display()));
        serving::announce(home, ui);
        Ok(())
    }
}
