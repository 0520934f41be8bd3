use anyhow::Context as _;
use serde::Serialize;

use super::{command, only_on_macos};
use crate::error::{Failure, Kind, Result};
use crate::network::socket_vmnet;
use crate::ui::Ui;

/// Shows whether the service runs and answers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab socket_vmnet status\n  pvmlab socket_vmnet status --json")]
pub(crate) struct Status {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shown {
    service: &'static str,
    pid: Option<u32>,
    socket: String,
    answers: bool,
}

impl Status {
    pub(crate) fn run(self, ui: Ui) -> Result<()> {
        only_on_macos()?;
        let line = socket_vmnet::status();
        let output = command(&line).output().with_context(|| format!("cannot run `{line}`"))?;
        let service = socket_vmnet::Service::from_environment();
        let socket = service.socket.display().to_string();
        let pid = socket_vmnet::pid(&String::from_utf8_lossy(&output.stdout));
        let shown = Shown { service: socket_vmnet::LABEL, pid, socket, answers: service.attach().is_ok() };
        ui.data(&shown, |shown| match (shown.pid, shown.answers) {
            (Some(pid), true) => format!("socket_vmnet runs (process {pid}) and answers at {}", shown.socket),
            (Some(pid), false) => format!("socket_vmnet runs (process {pid}) but does not answer at {}", shown.socket),
            (None, true) => format!("another socket_vmnet answers at {}", shown.socket),
            (None, false) => "socket_vmnet does not run".to_owned(),
        })?;
        if shown.answers {
            return Ok(());
        }
        Err(Failure::new(Kind::Missing, "the lab network is down").hinted("start it with `pvmlab socket_vmnet start`"))
    }
}
