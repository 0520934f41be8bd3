use std::fs;

use lab_model::MachineName;

use crate::error::Result;
use crate::home::Home;
use crate::network;
use crate::qemu::power::{self, OffPatience};
use crate::removal;
use crate::ui::Ui;

/// Stops every machine and removes what the lab generated; the SSH keys stay.
///
/// What is not the lab's own is left where it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab clean\n  pvmlab clean --purge")]
pub(crate) struct Clean {
    /// Removes the SSH keys, the profiles, distros.yaml and the home itself too.
    #[arg(long)]
    purge: bool,
}

impl Clean {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        // After `clean` the keys are still there for `clean --purge`.
        if !home.exists() && !home.root().join("lock").exists() {
            ui.say(format_args!("there is no lab in {}", home.root().display()));
            return Ok(());
        }
        let lock = home.lock()?;
        for name in machines(home) {
            power::off(home, &name, OffPatience::NONE)?;
        }
        network::switch::stop(home)?;
        // The definitions first: a home without them is no lab any more.
        for part in ["vms", "configs", "pids", "monitors", "network", "logs", "images", "downloads"] {
            removal::remove_path(&home.root().join(part))?;
        }
        if !self.purge {
            ui.say(format_args!(
                "removed all but the SSH keys, the profiles and distros.yaml in {}",
                home.root().display()
            ));
            return Ok(());
        }
        for part in ["ssh", "profiles", "distros.yaml", "lock"] {
            removal::remove_path(&home.root().join(part))?;
        }
        match fs::remove_dir(home.root()) {
            Ok(()) => ui.say(format_args!("removed {}", home.root().display())),
            Err(_) => ui.say(format_args!("removed the lab; {} has other files and stays", home.root().display())),
        }
        drop(lock);
        Ok(())
    }
}

/// The machines that may run, defined or not.
fn machines(home: &Home) -> Vec<MachineName> {
    let folder = home.root().join("pids");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(".pid")?.parse().ok()).collect()
}
