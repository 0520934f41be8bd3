use clap_complete::ArgValueCompleter;
use lab_model::{Arch, ImageName};
use serde::Serialize;

use super::pull::order;
use crate::commands::completion;
use crate::distros::{self, Catalogue, Fetcher};
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::table::table;
use crate::ui::Ui;

/// Looks whether vendors have newer images than those that were pulled; nothing is downloaded.
///
/// As JSON: a list, each with `name`, `arch`, `state` (current, outdated, or unknown, with `problem`).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab distro update\n  pvmlab distro update debian-12")]
pub(crate) struct Update {
    /// Which images; all that were pulled otherwise.
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(completion::pulled))]
    names: Vec<ImageName>,
    /// For this architecture alone.
    #[arg(long)]
    arch: Option<Arch>,
}

impl Update {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        home.require()?;
        let pulled: Vec<_> = distros::all(home).into_iter().map(|(name, arch, _)| (name, arch)).collect();
        if let Some(name) = self.names.iter().find(|name| pulled.iter().all(|(pulled, _)| &pulled != name)) {
            return Err(Failure::new(Kind::NotFound, format!("`{name}` was not pulled"))
                .hinted(format!("pull it with `pvmlab distro pull {name}`")));
        }
        let is_asked = |(name, arch): &(ImageName, Arch)| {
            (self.names.is_empty() || self.names.contains(name)) && self.arch.is_none_or(|asked| asked == *arch)
        };
        let (catalogue, interrupt) = (Catalogue::read(home, ui), Interrupt::hold());
        let fetcher = Fetcher::new(home, &interrupt, ui)?;
        let mut rows = Vec::new();
        for (name, arch) in pulled.into_iter().filter(is_asked) {
            let outdated = order(home, &catalogue, &name, arch).and_then(|order| fetcher.is_outdated(&order));
            interrupt.check()?;
            let (state, problem) = match outdated {
                Ok(true) => (State::Outdated, None),
                Ok(false) => (State::Current, None),
                Err(failure) => (State::Unknown, Some(failure.to_string())),
            };
            rows.push(Row { name, arch, state, problem });
        }
        if rows.is_empty() && !ui.json {
            ui.say("nothing was pulled yet: `pvmlab distro ls` shows what could be");
            return Ok(());
        }
        ui.data(&rows, |rows| table(["NAME", "ARCH", "STATE"], &rows.iter().map(Row::cells).collect::<Vec<_>>()))?;
        match rows.iter().find_map(|row| row.problem.as_ref()) {
            Some(_) => Err(Failure::new(Kind::Failed, "not every vendor could be asked")),
            None => Ok(()),
        }
    }
}

#[derive(Serialize)]
struct Row {
    name: ImageName,
    arch: Arch,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Current,
    Outdated,
    Unknown,
}

impl Row {
    fn cells(&self) -> [String; 3] {
        let Self { name, arch, .. } = self;
        let state = match self.state {
            State::Current => "current".to_owned(),
            State::Outdated => format!("outdated: `pvmlab distro pull {name} --arch {arch}` brings the newer one"),
            State::Unknown => format!("unknown: {}", self.problem.as_deref().unwrap_or_default()),
        };
        [name.to_string(), arch.to_string(), state]
    }
}
