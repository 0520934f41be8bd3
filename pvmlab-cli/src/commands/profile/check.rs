use pxe_proto::boot::{self, Asker, Boot};

use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::profiles;
use crate::store::Store;
use crate::ui::Ui;

/// Reads every profile, renders each of its templates, and says what is wrong: file, line and value.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab profile check")]
pub(crate) struct Check {}

impl Check {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let (profiles, store) = (profiles::read(home)?, Store::read(home)?);
        let folder = home.profiles();
        let mut problems: Vec<_> =
            profiles.problems().iter().map(|problem| format!("{}/{problem}", folder.display())).collect();
        for stored in store.machines() {
            let boot = boot::decide(Some(&stored.machine), &profiles, &Asker::default());
            if let Boot::Refuse(refusal) = boot {
                problems.push(format!("{}: {refusal}", stored.file));
            }
        }
        let Some((first, others)) = problems.split_first() else {
            ui.say(format_args!("nothing is wrong; profiles: {}", profiles.all().count()));
            return Ok(());
        };
        others.iter().for_each(|problem| eprintln!("error: {problem}"));
        Err(Failure::new(Kind::Failed, first.clone()).hinted(format!("correct it in {}", folder.display())))
    }
}
