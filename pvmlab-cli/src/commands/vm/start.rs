use lab_model::{Definition, LabStatus, MachineName, Role};

use crate::boot::{self, Start as How};
use crate::commands::vm::console::Console;
use crate::declared;
use crate::error::Result;
use crate::hardware::BootOrder;
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::provisioner::{Provisioner, serving};
use crate::qemu::command_line::OnReboot;
use crate::qemu::power;
use crate::store::{Store, Stored};
use crate::ui::Ui;
use crate::waiting::{self, Before};

/// Switches a machine on.
///
/// It runs on when this command ends. A blank machine that was made with --pxeboot is installed over the network by the
/// provisioner; with its disk first, which is usual, it boots from that from then on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pvmlab vm start provisioner --wait
  pvmlab vm start web --wait
  pvmlab vm start web -i
  pvmlab vm start web --boot pxe

With --wait, PVMLAB_WAIT_TIMEOUT says for how many seconds, 300 otherwise; emulated machines need more.")]
pub(crate) struct Start {
    /// Which machine.
    name: MachineName,
    /// Waits until it is up and configured: a provisioner serves, a target said so.
    #[arg(long)]
    wait: bool,
    /// Attaches this terminal to its serial console; Ctrl-] detaches.
    #[arg(long, short, conflicts_with = "wait")]
    interactive: bool,
    /// What its firmware tries first, this time.
    #[arg(long, value_name = "FIRST")]
    boot: Option<BootOrder>,
    /// Switches it off where it would reboot: what an installer left can be looked at.
    #[arg(long)]
    installer_no_reboot: bool,
}

impl Start {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let interrupt = Interrupt::hold();
        let lock = home.lock()?;
        let store = Store::read(home)?;
        let stored = store.find(&self.name)?;
        boot::warn_without_provisioner(stored, &store, home, ui)?;
        let before = before_start(stored, &store, home, ui)?;
        let on_reboot = if self.installer_no_reboot { OnReboot::PowerOff } else { OnReboot::Restart };
        boot::start(stored, How { boot: self.boot, on_reboot }, home, &lock, &interrupt)?;
        drop(lock);
        ui.say(format_args!("{} runs", self.name));
        if self.interactive {
            drop(interrupt);
            return Console::of(self.name).run(home, ui);
        }
        if self.wait { wait(stored, before, home, &interrupt, ui) } else { Ok(()) }
    }
}

/// What has to be there before a machine is switched on as usual, and what is known of it until then.
///
/// # Errors
/// This host has no server for a provisioner, or the running provisioner cannot be reached.
pub(crate) fn before_start(stored: &Stored, store: &Store, home: &Home, ui: Ui) -> Result<Before> {
    // What it was to boot one time is over.
    if stored.definition.once.is_some() && power::running(home, &stored.machine.name)?.is_none() {
        let definition = Definition { once: None, ..stored.definition.clone() };
        declared::write(&definition, &stored.file, home)?;
    }
    supply(stored, store, home, ui)
}

/// The same, however it is switched on.
///
/// # Errors
/// As of [`before_start`].
pub(crate) fn supply(stored: &Stored, store: &Store, home: &Home, ui: Ui) -> Result<Before> {
    match (stored.machine.role, store.provisioner()) {
        (Role::Provisioner, _) => {
            power::refuse_running(home, &stored.machine.name)?;
            serving::prepare(&Provisioner::of(store)?, home)?;
            Ok(Before::default())
        }
        (Role::Target, Some(provisioner)) if power::running(home, &provisioner.machine.name)?.is_some() => {
            let provisioner = Provisioner::of(store)?;
            serving::supply(&provisioner, home, ui)?;
            let status = provisioner.api(home)?.machines();
            Ok(Before::of(&status.unwrap_or_else(|_| LabStatus::default()), &stored.machine.name))
        }
        (Role::Target, Some(_) | None) => Ok(Before::default()),
    }
}

/// Waits until a machine that was started is up, and says so.
///
/// # Errors
/// It is not in time; or somebody wants this to end.
pub(crate) fn wait(stored: &Stored, before: Before, home: &Home, interrupt: &Interrupt, ui: Ui) -> Result<()> {
    let name = &stored.machine.name;
    // Read again: the port that leads to the provisioner may be another by now.
    let provisioner = Provisioner::find(home)?;
    match stored.machine.role {
        Role::Provisioner => {
            let health = serving::until_healthy(&provisioner, waiting::limit()?, home, interrupt, ui)?;
            ui.say(format_args!("{name} serves {}", health.url));
        }
        Role::Target => {
            waiting::until_up(name, before, &provisioner.api(home)?, home, interrupt, ui)?;
            ui.say(format_args!("{name} is up: `pvmlab vm shell {name}`"));
        }
    }
    Ok(())
}
