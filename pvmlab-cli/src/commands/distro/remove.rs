use clap_complete::ArgValueCompleter;
use lab_model::{Arch, ImageName, MANIFEST_FILE};

use crate::commands::completion;
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::images::{self, Image};
use crate::removal;
use crate::store::Store;
use crate::ui::Ui;

/// Removes an image from the lab, and what was downloaded of it.
///
/// An image that disks of machines are laid over stays: they would be lost with it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab distro rm debian-12 --arch aarch64")]
pub(crate) struct Remove {
    /// Which image.
    #[arg(add = ArgValueCompleter::new(completion::images))]
    name: ImageName,
    /// For which architecture.
    #[arg(long)]
    arch: Arch,
    /// Although machines are to be installed from it.
    #[arg(long)]
    force: bool,
}

impl Remove {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let lock = home.lock()?;
        removal::sweep(home, &lock)?;
        let Self { name, arch, force } = self;
        let Some(_download) = home.try_lock_download(&name, arch)? else {
            return Err(Failure::new(Kind::Conflict, format!("`{name}` for {arch} is just being pulled"))
                .hinted("stop that command first"));
        };
        let download = home.download(&name, arch);
        if !home.image(&name, arch).join(MANIFEST_FILE).exists() && removal::remove_path(&download)? {
            ui.say(format_args!("removed what was downloaded of `{name}` for {arch}"));
            return Ok(());
        }
        let image = Image::find(home, &name, arch)?;
        let store = Store::read(home)?;
        if !store.bad().is_empty() && !force {
            store.warn(ui);
            return Err(Failure::new(Kind::Conflict, "nobody knows whether the bad definitions need this image")
                .hinted("correct them, or add --force"));
        }
        for stored in store.machines() {
            let uses = stored.definition.distro.as_ref() == Some(&name) && stored.machine.arch == arch;
            let machine = &stored.machine.name;
            if uses && !stored.definition.pxeboot {
                return Err(Failure::new(Kind::Conflict, format!("the disk of `{machine}` is laid over this image"))
                    .hinted(format!("remove the machine first: `pvmlab vm clean {machine}`")));
            }
            if uses && !force {
                return Err(Failure::new(Kind::Conflict, format!("`{machine}` is to be installed from this image"))
                    .hinted("add --force to remove the image all the same"));
            }
        }
        images::unregister(&image)?;
        removal::remove_path(&download)?;
        ui.say(format_args!("removed image `{name}` for {arch}"));
        Ok(())
    }
}
