use std::io::{self, IsTerminal as _};
use std::time::Duration;

use lab_model::{Health, LabStatus, MachineName, MachineStatus, Role, Stage};
use serde::Serialize;

use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::provisioner::Provisioner;
use crate::qemu::power;
use crate::store::{Store, Stored};
use crate::table::table;
use crate::ui::Ui;

/// Says of every machine whether it runs, how far it got, what failed and what to do about it.
///
/// As JSON: `provisioner` (null where there is none) with `name`, `running`, `health` (what its server says, null where it does not
/// answer); `machines`, each with `name`, `running`, and as far as the server knows them `stage`, `since`, `percent`, `failure`
/// and `hint`; and `problems`, sentences about definitions and images that are not in force.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pvmlab status\n  pvmlab status --watch\n  pvmlab status --json | jq '.machines[].stage'"
)]
pub(crate) struct Status {
    /// Shows it anew every two seconds, until Ctrl-C.
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

impl Status {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        if !self.watch {
            return ui.data(&Lab::ask(home)?, Lab::text);
        }
        if !io::stdout().is_terminal() {
            return Err(Failure::new(Kind::Usage, "--watch needs a terminal")
                .hinted("ask in a loop for `pvmlab status --json` instead"));
        }
        let interrupt = Interrupt::hold();
        loop {
            let text = Lab::ask(home)?.text();
            // ECMA-48: to the upper left, and everything below is cleared.
            print!("\x1b[H\x1b[2J{text}");
            if interrupt.pause(REFRESH_INTERVAL).is_err() {
                return Ok(());
            }
        }
    }
}

const REFRESH_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Lab {
    provisioner: Option<Server>,
    machines: Vec<Machine>,
    problems: Vec<String>,
}

#[derive(Serialize)]
struct Server {
    name: MachineName,
    running: bool,
    health: Option<Health>,
}

#[derive(Serialize)]
struct Machine {
    name: MachineName,
    running: bool,
    #[serde(flatten)]
    boot: Option<Boot>,
}

/// What the server knows, without what the definition says.
#[derive(Serialize)]
struct Boot {
    stage: Option<Stage>,
    since: Option<jiff::Timestamp>,
    percent: Option<u8>,
    failure: Option<String>,
    hint: Option<String>,
}

impl Lab {
    fn ask(home: &Home) -> Result<Self> {
        let store = Store::read(home)?;
        let running = |name: &MachineName| Ok::<_, Failure>(power::running(home, name)?.is_some());
        let mut problems: Vec<_> = store.bad().iter().map(|bad| format!("{}: {}", bad.file, bad.problem)).collect();
        let mut status = LabStatus::default();
        let provisioner = match store.provisioner() {
            None => None,
            Some(Stored { machine, .. }) => {
                let mut server = Server { name: machine.name.clone(), running: running(&machine.name)?, health: None };
                if server.running {
                    let api = Provisioner::of(&store)?.api(home)?;
                    server.health = api.health().ok();
                    if server.health.is_some() {
                        status = api.machines()?;
                    }
                    problems.extend(server.health.iter().flat_map(Health::notes));
                }
                Some(server)
            }
        };
        problems
            .extend(status.problems.iter().filter(|problem| !problems.contains(problem)).cloned().collect::<Vec<_>>());
        let targets = store.machines().iter().filter(|stored| stored.machine.role == Role::Target);
        let machines = targets.map(|stored| {
            let name = stored.machine.name.clone();
            let known = status.machines.iter().find(|machine| machine.name.as_ref() == Some(&name));
            Ok(Machine { running: running(&name)?, boot: known.map(Boot::of), name })
        });
        Ok(Self { provisioner, machines: machines.collect::<Result<_>>()?, problems })
    }

    fn text(&self) -> String {
        let mut text = match &self.provisioner {
            None => "there is no provisioner: make one with `pvmlab provisioner create`\n".to_owned(),
            Some(Server { name, running: false, .. }) => {
                format!("{name} is off: start it with `pvmlab provisioner start`\n")
            }
            Some(Server { name, health: None, .. }) => {
                format!("{name} runs, but its server does not answer: `pvmlab provisioner logs`\n")
            }
            Some(Server { name, health: Some(health), .. }) => {
                format!("{name} serves {} for {} s\n", health.url, health.uptime_seconds)
            }
        };
        if !self.machines.is_empty() {
            let rows: Vec<_> = self.machines.iter().map(Machine::cells).collect();
            text += &format!("\n{}", table(["NAME", "STATUS", "STAGE", "SINCE", "PROBLEM"], &rows));
        }
        for machine in &self.machines {
            if let Some(hint) = machine.boot.as_ref().and_then(|boot| boot.hint.as_ref()) {
                text += &format!("\n{}: {hint}", machine.name);
            }
        }
        for problem in &self.problems {
            text += &format!("\nproblem: {problem}");
        }
        text.trim_end().to_owned() + "\n"
    }
}

impl Boot {
    fn of(machine: &MachineStatus) -> Self {
        let MachineStatus { stage, since, percent, failure, hint, .. } = machine.clone();
        Self { stage, since, percent, failure, hint }
    }
}

impl Machine {
    fn cells(&self) -> [String; 5] {
        let status = if self.running { "running" } else { "stopped" };
        let Some(boot) = &self.boot else {
            return [self.name.to_string(), status.to_owned(), String::new(), String::new(), String::new()];
        };
        let percent = boot.percent.filter(|_| boot.stage == Some(Stage::Write)).map(|percent| format!(" {percent} %"));
        let stage = boot.stage.map(|stage| stage.to_string() + &percent.unwrap_or_default());
        let since = boot.since.map(|since| since.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
        [
            self.name.to_string(),
            status.to_owned(),
            stage.unwrap_or_default(),
            since.unwrap_or_default(),
            boot.failure.clone().unwrap_or_default(),
        ]
    }
}
