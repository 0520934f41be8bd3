use std::path::PathBuf;

use crate::error::Result;
use crate::home::Home;
use crate::images::{self, Registered};
use crate::interrupt::Interrupt;
use crate::removal;
use crate::ui::Ui;

/// Registers an image: a folder with a manifest.json and the files that it names.
///
/// Every file is verified. Where the image is registered already, broken files are mended.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab distro add \"$(cargo xtask image debian-12 --arch aarch64)\"")]
pub(crate) struct Add {
    /// The image's folder.
    #[arg(value_hint = clap::ValueHint::DirPath)]
    folder: PathBuf,
}

impl Add {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        home.require()?;
        let lock = home.lock()?;
        removal::sweep(home, &lock)?;
        let (image, done) = images::register(home, &self.folder, &Interrupt::hold(), ui)?;
        let (name, arch) = (&image.manifest.name, image.manifest.arch);
        match done {
            Registered::New => ui.say(format_args!("registered image `{name}` for {arch}")),
            Registered::Already => ui.say(format_args!("image `{name}` for {arch} is registered, and whole")),
            Registered::Mended => ui.say(format_args!("mended image `{name}` for {arch}")),
        }
        Ok(())
    }
}
