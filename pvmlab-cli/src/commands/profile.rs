//! `pvmlab profile …`: what machines boot beside an image.

pub(crate) mod add;
pub(crate) mod check;
pub(crate) mod list;
pub(crate) mod render;
pub(crate) mod show;

use crate::error::Result;
use crate::home::Home;
use crate::ui::Ui;

/// Lists, copies, checks and renders what machines boot beside an image: installers, live systems, scripts, menus.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Profile {
    #[command(name = "ls", visible_alias = "list")]
    List(list::List),
    Show(show::Show),
    Add(add::Add),
    Render(render::Render),
    Check(check::Check),
}

impl Profile {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        home.require()?;
        match self {
            Self::List(list) => list.run(home, ui),
            Self::Show(show) => show.run(home, ui),
            Self::Add(add) => add.run(home, ui),
            Self::Render(render) => render.run(home, ui),
            Self::Check(check) => check.run(home, ui),
        }
    }
}
