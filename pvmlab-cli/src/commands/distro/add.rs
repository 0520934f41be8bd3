use std::path::PathBuf;

use lab_model::{Arch, ImageName};

use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::images::{self, Registered, Wanted};
use crate::interrupt::Interrupt;
use crate::removal;
use crate::ui::Ui;

/// Registers an image: a vendor's cloud image file, or a folder with a manifest.json and the files that it names.
///
/// A file is qcow2 or raw, as it is or compressed as gz, xz or zst. Kernel, initrd and kernel command line are found in it as its
/// own boot loader would find them. Its disk needs a GUID partition table, and its kernel has to be on ext4 or FAT.
///
/// Every file of a folder is verified. Where that image is registered already, broken files are mended.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab distro add noble-server-cloudimg-arm64.img --name ubuntu-24.04\n  \
                        pvmlab distro add \"$(cargo xtask image debian-12 --arch aarch64)\"")]
pub(crate) struct Add {
    /// The image's file or folder.
    #[arg(value_name = "FILE|FOLDER", value_hint = clap::ValueHint::AnyPath)]
    path: PathBuf,
    /// The image's name; that of the file if not given.
    #[arg(long)]
    name: Option<ImageName>,
    /// What the image has to be for.
    #[arg(long)]
    arch: Option<Arch>,
}

impl Add {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        home.require()?;
        let lock = home.lock()?;
        removal::sweep(home, &lock)?;
        if !self.path.is_dir() {
            return self.prepare(home, ui);
        }
        if self.name.is_some() || self.arch.is_some() {
            let message = format!("{} is a folder, whose manifest says its name and architecture", self.path.display());
            return Err(Failure::new(Kind::Usage, message).hinted("leave out --name and --arch"));
        }
        let (image, done) = images::register(home, &self.path, &Interrupt::hold(), ui)?;
        let (name, arch) = (&image.manifest.name, image.manifest.arch);
        match done {
            Registered::New => ui.say(format_args!("registered image `{name}` for {arch}")),
            Registered::Already => ui.say(format_args!("image `{name}` for {arch} is registered, and whole")),
            Registered::Mended => ui.say(format_args!("mended image `{name}` for {arch}")),
        }
        Ok(())
    }

    fn prepare(self, home: &Home, ui: Ui) -> Result<()> {
        let wanted = Wanted { name: self.name.as_ref(), arch: self.arch };
        let (image, found) = images::prepare(home, &self.path, wanted, &Interrupt::hold(), ui)?;
        ui.say(found);
        ui.say(format_args!("registered image `{}` for {}", image.manifest.name, image.manifest.arch));
        Ok(())
    }
}
