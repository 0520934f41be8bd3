//! Waiting until a machine that was started is up, and telling how far it is meanwhile.
//!
//! The server in the provisioner knows: a target is up when its system says so there. Clocks are not compared, as the
//! provisioner's is its own: what counts is that something changed since before the start.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use lab_model::{LabStatus, MachineName, MachineStatus, Stage};

use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::provisioner::api::Api;
use crate::qemu::power;
use crate::ui::Ui;

/// When a machine's boot last got further, before it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Before {
    heard: Option<Timestamp>,
}

impl Before {
    /// What the server says of the machine now.
    pub(crate) fn of(status: &LabStatus, name: &MachineName) -> Self {
        Self { heard: find(status, name).and_then(|machine| machine.since) }
    }
}

/// Waits until `name` is up, for at most what [`limit`] says.
///
/// # Errors
/// It is not up in time, the message says how far it got; or it is switched off; or somebody wants this to end, and then it
/// runs on.
pub(crate) fn until_up(
    name: &MachineName,
    before: Before,
    server: &Api,
    home: &Home,
    interrupt: &Interrupt,
    ui: Ui,
) -> Result<()> {
    let (began, limit) = (Instant::now(), limit()?);
    let (mut told, mut status) = (None, LabStatus::default());
    loop {
        // A provisioner that is busy answers the next question.
        let answer = server.machines();
        let silence = answer.as_ref().err().map(ToString::to_string);
        status = answer.unwrap_or(status);
        let machine = find(&status, name).filter(|machine| machine.since != before.heard);
        if let Some(machine) = machine {
            if machine.stage == Some(Stage::Up) {
                return Ok(());
            }
            let line = line(machine);
            if told.as_ref() != Some(&line) {
                ui.say(format_args!("  {:>4} s  {line}", began.elapsed().as_secs()));
                told = Some(line);
            }
        }
        if power::running(home, name)?.is_none() {
            return Err(Failure::new(Kind::Failed, format!("{name} was switched off before it was up"))
                .hinted(format!("what it printed: `pvmlab vm logs {name}`")));
        }
        if began.elapsed() >= limit {
            let failure = timed_out(name, machine, limit);
            return Err(silence.into_iter().fold(failure, Failure::hinted));
        }
        interrupt.pause(POLL_INTERVAL)?;
    }
}

/// How long `--wait` waits: `PVMLAB_WAIT_TIMEOUT` in seconds, 300 otherwise.
///
/// # Errors
/// The variable is no number of seconds.
pub(crate) fn limit() -> Result<Duration> {
    match std::env::var(VARIABLE) {
        Err(_) => Ok(USUAL_LIMIT),
        Ok(text) => text.parse().map(Duration::from_secs).map_err(|_| {
            Failure::new(Kind::Usage, format!("{VARIABLE}: `{text}` is not a number of seconds"))
                .hinted("set it to a number such as 300, or unset it")
        }),
    }
}

const VARIABLE: &str = "PVMLAB_WAIT_TIMEOUT";

/// Emulated machines need more.
const USUAL_LIMIT: Duration = Duration::from_secs(300);

/// Each question is a login to the provisioner.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

fn find<'a>(status: &'a LabStatus, name: &MachineName) -> Option<&'a MachineStatus> {
    status.machines.iter().find(|machine| machine.name.as_ref() == Some(name))
}

fn line(machine: &MachineStatus) -> String {
    let stage = machine.stage.map_or("it was switched on", words);
    match (machine.percent.filter(|_| machine.stage == Some(Stage::Write)), &machine.failure) {
        (_, Some(failure)) => format!("{stage}: {failure}"),
        (Some(percent), None) => format!("{stage}: {} %", percent / 10 * 10),
        (None, None) => stage.to_owned(),
    }
}

fn words(stage: Stage) -> &'static str {
    match stage {
        Stage::Offer => "its firmware is offered an address",
        Stage::Address => "its firmware has an address",
        Stage::BootProgram => "its firmware has fetched iPXE",
        Stage::Script => "iPXE has its script",
        Stage::Kernel => "iPXE has fetched the kernel",
        Stage::Initrd => "iPXE has fetched the initial RAM file system",
        Stage::Installer => "the installer runs",
        Stage::Write => "the installer writes the disk",
        Stage::Verify => "the disk holds what the image's manifest says",
        Stage::Installed => "it is installed, and restarts",
        Stage::System => "the installed system has an address",
        Stage::Up => "the installed system is configured and up",
    }
}

fn timed_out(name: &MachineName, machine: Option<&MachineStatus>, limit: Duration) -> Failure {
    let seconds = limit.as_secs();
    let failure = match machine {
        None => Failure::new(Kind::TimedOut, format!("{name} was not heard of within {seconds} s")),
        Some(machine) => {
            let stage = machine.stage.map_or_else(|| "nothing".to_owned(), |stage| format!("`{stage}`"));
            let why = machine.failure.as_ref().map(|failure| format!(": {failure}")).unwrap_or_default();
            Failure::new(Kind::TimedOut, format!("{name} reached {stage} within {seconds} s and is not up{why}"))
        }
    };
    let failure = match machine.and_then(|machine| machine.hint.clone()) {
        Some(hint) => failure.hinted(hint),
        None => failure,
    };
    failure
        .hinted(format!("what it printed: `pvmlab vm logs {name}`"))
        .hinted(format!("it runs on; {VARIABLE} says how many seconds to wait"))
}
