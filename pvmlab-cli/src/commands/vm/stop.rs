use lab_model::MachineName;

use crate::error::Result;
use crate::home::Home;
use crate::qemu::power::{self, Off, OffPatience};
use crate::store::Store;
use crate::ui::Ui;

/// Switches machines off: by the power button, and by force where their system does not obey.
///
/// A machine has ten seconds to shut down and five more to end.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab vm stop web\n  pvmlab vm stop web db")]
pub(crate) struct Stop {
    /// Which machines.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<MachineName>,
}

impl Stop {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let _lock = home.lock()?;
        let store = Store::read(home)?;
        for name in &self.names {
            // A machine whose definition is bad by now can run all the same.
            if power::running(home, name)?.is_none() {
                store.find(name)?;
            }
            tell(name, power::off(home, name, OffPatience::default())?, ui);
        }
        Ok(())
    }
}

/// Says how a machine was switched off.
pub(crate) fn tell(name: &MachineName, off: Off, ui: Ui) {
    match off {
        Off::Already => ui.say(format_args!("{name} is off already")),
        Off::ShutDown => ui.say(format_args!("{name} shut down")),
        Off::Terminated => ui.say(format_args!("{name} did not obey its power button: switched off")),
        Off::Killed => ui.say(format_args!("{name} did not end: its emulator was killed")),
    }
}
