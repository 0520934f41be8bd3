use std::collections::BTreeMap;
use std::fs;

use anyhow::Context as _;
use clap_complete::ArgValueCompleter;
use lab_model::ProfileName;

use crate::commands::completion;
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::profiles::Shipped;
use crate::ui::Ui;

/// Shows the files of a profile, as they are written: the lab's own, or one that comes with this program.
///
/// As JSON: each file's text by its name.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab profile show debian-preseed")]
pub(crate) struct Show {
    /// Which profile.
    #[arg(add = ArgValueCompleter::new(completion::profiles))]
    name: ProfileName,
}

impl Show {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let folder = home.profiles().join(self.name.as_str());
        let mut files = BTreeMap::new();
        if folder.is_dir() {
            let cannot = || format!("cannot read {}", folder.display());
            for entry in fs::read_dir(&folder).with_context(cannot)? {
                let entry = entry.with_context(cannot)?;
                let text = String::from_utf8_lossy(&fs::read(entry.path()).with_context(cannot)?).into_owned();
                files.insert(entry.file_name().to_string_lossy().into_owned(), text);
            }
        } else if let Some(shipped) = Shipped::ALL.iter().find(|shipped| shipped.name == self.name.as_str()) {
            files.extend(shipped.files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
        } else {
            return Err(Failure::new(Kind::NotFound, format!("there is no profile `{}`", self.name))
                .hinted("`pvmlab profile ls` shows what there is"));
        }
        ui.data(&files, |files| files.iter().map(|(name, text)| format!("--- {name}\n{text}")).collect())
    }
}
