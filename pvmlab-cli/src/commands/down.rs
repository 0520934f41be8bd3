use lab_model::Role;

use crate::commands::vm::stop;
use crate::error::Result;
use crate::home::Home;
use crate::qemu::power::{self, OffPatience};
use crate::store::Store;
use crate::ui::Ui;

/// Switches every machine of the lab off, the provisioner last; nothing is removed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab down\n  pvmlab down && pvmlab clean --purge")]
pub(crate) struct Down {}

impl Down {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let _lock = home.lock()?;
        let store = Store::read(home)?;
        store.warn(ui);
        let of_role = |role| store.machines().iter().filter(move |stored| stored.machine.role == role);
        for stored in of_role(Role::Target).chain(of_role(Role::Provisioner)) {
            let name = &stored.machine.name;
            stop::tell(name, power::off(home, name, OffPatience::default())?, ui);
        }
        Ok(())
    }
}
