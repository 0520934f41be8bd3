//! `pvmlab vm …`: the machines of the lab.

pub(crate) mod boot;
pub(crate) mod clean;
pub(crate) mod clone;
pub(crate) mod console;
pub(crate) mod copy;
pub(crate) mod create;
pub(crate) mod events;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod reinstall;
pub(crate) mod restore;
pub(crate) mod shell;
pub(crate) mod snapshot;
pub(crate) mod snapshots;
pub(crate) mod start;
pub(crate) mod stop;

use std::process::ExitCode;

use crate::error::Result;
use crate::home::Home;
use crate::ui::Ui;

/// Makes, lists and removes machines.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Vm {
    Create(create::Create),
    #[command(visible_alias = "ls")]
    List(list::List),
    Start(start::Start),
    Boot(boot::Boot),
    Stop(stop::Stop),
    Reinstall(reinstall::Reinstall),
    Console(console::Console),
    Shell(shell::Shell),
    Copy(copy::Copy),
    Events(events::Events),
    Logs(logs::Logs),
    Snapshot(snapshot::Take),
    Snapshots(snapshots::Snapshots),
    Restore(restore::Restore),
    Clone(clone::Clone),
    Clean(clean::Clean),
}

impl Vm {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<ExitCode> {
        match self {
            Self::Create(create) => create.run(home, ui)?,
            Self::List(list) => list.run(home, ui)?,
            Self::Start(start) => start.run(home, ui)?,
            Self::Boot(boot) => boot.run(home, ui)?,
            Self::Stop(stop) => stop.run(home, ui)?,
            Self::Reinstall(reinstall) => reinstall.run(home, ui)?,
            Self::Console(console) => console.run(home, ui)?,
            Self::Shell(shell) => return shell.run(home),
            Self::Copy(copy) => return copy.run(home),
            Self::Events(events) => events.run(home, ui)?,
            Self::Logs(logs) => logs.run(home, ui)?,
            Self::Snapshot(take) => take.run(home, ui)?,
            Self::Snapshots(snapshots) => snapshots.run(home, ui)?,
            Self::Restore(restore) => restore.run(home, ui)?,
            Self::Clone(clone) => clone.run(home, ui)?,
            Self::Clean(clean) => clean.run(home, ui)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
