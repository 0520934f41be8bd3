use std::path::{Path, PathBuf};

use lab_model::{MachineName, Role};

use crate::boot;
use crate::commands::vm::start;
use crate::declared::{self, Declared};
use crate::error::{Failure, Kind, Result};
use crate::home::{Home, Lock};
use crate::interrupt::Interrupt;
use crate::lab_file::LabFile;
use crate::plan::{Plan, Step, plan};
use crate::provisioner::serving;
use crate::removal;
use crate::store::Store;
use crate::ui::Ui;
use crate::waiting::Before;

/// Builds and starts the lab that a file declares.
///
/// Running it again changes nothing; after an edit of the file it changes only what differs. Nothing that would lose a disk is
/// ever done: a machine that the file no longer names is told of and left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pvmlab up
  pvmlab up racks/lab.toml --wait
  pvmlab up --dry-run

The shortest file that does something:
  [provisioner]
  ip = \"192.168.105.1/24\"

  [targets.web]")]
pub(crate) struct Up {
    /// The lab file.
    #[arg(default_value = "lab.toml")]
    file: PathBuf,
    /// Waits until every target that it started is up.
    #[arg(long)]
    wait: bool,
    /// Says what would be done, and does nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Up {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let file = LabFile::read(&self.file)?;
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let declared = declared::machines(&file, folder, ui)?;
        let lock = home.lock()?;
        let store = Store::read(home)?;
        store.warn(ui);
        let wanted: Vec<_> = declared.iter().map(|machine| (machine.name.clone(), machine.wanted.clone())).collect();
        let plan = plan(&wanted, &declared::present(&store, home)?);
        refuse(&plan)?;
        declared::check(&declared, home)?;
        for name in &plan.undeclared {
            ui.say(format_args!("{name}: not in {}, left alone", self.file.display()));
        }
        if plan.steps.is_empty() {
            ui.say("the lab is as declared");
        }
        if self.dry_run {
            plan.steps.iter().for_each(|step| ui.say(told(step)));
            return Ok(());
        }
        let interrupt = Interrupt::hold();
        let started = perform(&plan, &declared, home, lock, &interrupt, ui)?;
        if plan.steps.iter().any(|step| matches!(step, Step::Change(..))) {
            serving::announce(home, ui);
        }
        for name in &plan.restart {
            ui.say(format_args!("{name}: runs with its former hardware until it is stopped and started"));
        }
        if self.wait { wait(&started, home, &interrupt, ui) } else { Ok(()) }
    }
}

/// Does the steps in their order; returns the targets that were started, and what was known of each before.
fn perform(
    plan: &Plan,
    declared: &[Declared],
    home: &Home,
    mut lock: Lock,
    interrupt: &Interrupt,
    ui: Ui,
) -> Result<Vec<(MachineName, Before)>> {
    removal::sweep(home, &lock)?;
    let mut started = Vec::new();
    for step in &plan.steps {
        interrupt.check()?;
        ui.say(told(step));
        match step {
            Step::Create(name) => {
                let machine = declared.iter().find(|machine| machine.name == *name);
                machine.expect("what is made is declared").new.create(home, &lock, ui)?;
            }
            Step::Change(name, changes) => declared::change(name, changes, home, &lock)?,
            Step::Start(name) => {
                let store = Store::read(home)?;
                let stored = store.find(name)?;
                let before = start::before_start(stored, &store, home, ui)?;
                boot::start(stored, boot::Start::default(), home, &lock, interrupt)?;
                match stored.machine.role {
                    // Nobody would answer the targets before it serves. Others may use the lab meanwhile.
                    Role::Provisioner => {
                        drop(lock);
                        start::wait(stored, before, home, interrupt, ui)?;
                        lock = home.lock()?;
                    }
                    Role::Target => started.push((name.clone(), before)),
                }
            }
        }
    }
    Ok(started)
}

fn wait(started: &[(MachineName, Before)], home: &Home, interrupt: &Interrupt, ui: Ui) -> Result<()> {
    let store = Store::read(home)?;
    for (name, before) in started {
        ui.say(format_args!("{name}: waiting until it is up"));
        start::wait(store.find(name)?, *before, home, interrupt, ui)?;
    }
    Ok(())
}

fn refuse(plan: &Plan) -> Result<()> {
    let Some((first, rest)) = plan.refusals.split_first() else { return Ok(()) };
    let failure = Failure::new(Kind::Conflict, first.to_string());
    Err(rest.iter().fold(failure, |failure, refusal| failure.hinted(refusal.to_string())))
}

fn told(step: &Step) -> String {
    match step {
        Step::Create(name) => format!("{name}: to be made"),
        Step::Change(name, changes) => {
            let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
            format!("{name}: {}", changes.join(", "))
        }
        Step::Start(name) => format!("{name}: to be started"),
    }
}
