use crate::boot;
use crate::commands::vm::start::{before_start, wait};
use crate::error::Result;
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::provisioner::Provisioner;
use crate::qemu::power;
use crate::store::Store;
use crate::ui::Ui;

/// Starts the server on the provisioner, and the provisioner itself where it is off; waits until it serves.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pvmlab provisioner start\n\nPVMLAB_WAIT_TIMEOUT says for how many seconds it waits, 300 otherwise."
)]
pub(crate) struct Start {}

impl Start {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let interrupt = Interrupt::hold();
        let lock = home.lock()?;
        let store = Store::read(home)?;
        let stored = store.require_provisioner()?;
        let before = if power::running(home, &stored.machine.name)?.is_some() {
            let provisioner = Provisioner::of(&store)?;
            provisioner.login(home)?.run("sudo systemctl enable --now pxe-server.service")?;
            Default::default()
        } else {
            let before = before_start(stored, &store, home, ui)?;
            boot::start(stored, boot::Start::default(), home, &lock, &interrupt)?;
            before
        };
        drop(lock);
        wait(stored, before, home, &interrupt, ui)
    }
}
