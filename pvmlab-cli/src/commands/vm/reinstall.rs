use lab_model::{Definition, ImageName, MachineName, Role};

use crate::boot;
use crate::commands::vm::{start, stop};
use crate::disk::{self, Content};
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::images::Image;
use crate::interrupt::Interrupt;
use crate::qemu::power::{self, OffPatience};
use crate::ssh;
use crate::store::Store;
use crate::ui::Ui;

/// Installs a machine anew over the network: what is on its disk is lost.
///
/// It is switched off, gets a blank disk of the same size, and is started. Its snapshots go with the old disk.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab vm reinstall web --wait\n  pvmlab vm reinstall web --distro debian-12")]
pub(crate) struct Reinstall {
    /// Which machine.
    name: MachineName,
    /// Installs this image from now on.
    #[arg(long)]
    distro: Option<ImageName>,
    /// Waits until it is up and configured.
    #[arg(long)]
    wait: bool,
}

impl Reinstall {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let interrupt = Interrupt::hold();
        let lock = home.lock()?;
        let store = Store::read(home)?;
        self.redefine(&store, home)?;
        let store = Store::read(home)?;
        let stored = store.find(&self.name)?;

        boot::warn_without_provisioner(stored, &store, home, ui)?;
        let before = start::before_start(stored, &store, home, ui)?;
        stop::tell(&self.name, power::off(home, &self.name, OffPatience::default())?, ui);
        blank(&self.name, home)?;
        // What it was told by an attached seed, as a clone is, would go before what the installer tells it.
        for gone in [home.snapshots(&self.name), home.seed(&self.name), home.seed_image(&self.name)] {
            crate::removal::remove_path(&gone)?;
        }
        ssh::forget(home, &self.name)?;
        boot::start(stored, boot::Start::default(), home, &lock, &interrupt)?;
        drop(lock);
        ui.say(format_args!("{} is being installed anew", self.name));
        if self.wait { start::wait(stored, before, home, &interrupt, ui) } else { Ok(()) }
    }

    /// Has the machine boot from the network, with the image that is asked for.
    fn redefine(&self, store: &Store, home: &Home) -> Result<()> {
        let stored = store.find(&self.name)?;
        if stored.machine.role == Role::Provisioner {
            return Err(Failure::new(Kind::Usage, format!("{} is the provisioner: nobody can install it", self.name))
                .hinted(
                    "another server comes with `pvmlab provisioner deploy`, another machine with `pvmlab vm clean`",
                ));
        }
        let distro = self.distro.clone().or_else(|| stored.definition.distro.clone());
        let image = Image::choose(home, distro.as_ref(), stored.machine.arch)?;
        let wanted =
            Definition { pxeboot: true, distro: Some(image.manifest.name), once: None, ..stored.definition.clone() };
        if wanted == stored.definition {
            return Ok(());
        }
        store.check_changed(&stored.file, &wanted)?;
        crate::declared::write(&wanted, &stored.file, home)
    }
}

/// Replaces the disk by a blank one of the same size; an interruption leaves one of the two.
fn blank(name: &MachineName, home: &Home) -> Result<()> {
    let path = home.disk(name);
    let size = disk::size(&path)?;
    let new = home.vms().join(format!(".new-{name}.qcow2"));
    crate::removal::remove_path(&new)?;
    disk::create(&new, Content::Blank, size)?;
    std::fs::rename(&new, &path)
        .map_err(|error| anyhow::Error::from(error).context(format!("cannot replace {}", path.display())).into())
}
