//! `pvmlab distro …`: the operating system images of the lab.

pub(crate) mod add;
pub(crate) mod list;
pub(crate) mod pull;
pub(crate) mod remove;
pub(crate) mod show;
pub(crate) mod update;
pub(crate) mod verify;

use std::process::ExitCode;

use crate::error::Result;
use crate::home::Home;
use crate::ui::Ui;

/// Downloads, registers, lists and removes operating system images.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Distro {
    #[command(name = "ls", visible_alias = "list")]
    List(list::List),
    Show(show::Show),
    Pull(pull::Pull),
    Update(update::Update),
    Add(Box<add::Add>),
    Verify(verify::Verify),
    #[command(name = "rm")]
    Remove(remove::Remove),
}

impl Distro {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<ExitCode> {
        match self {
            Self::List(list) => list.run(home, ui)?,
            Self::Show(show) => show.run(home, ui)?,
            Self::Pull(pull) => pull.run(home, ui)?,
            Self::Update(update) => update.run(home, ui)?,
            Self::Add(add) => add.run(home, ui)?,
            Self::Verify(verify) => verify.run(home, ui)?,
            Self::Remove(remove) => remove.run(home, ui)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
