use std::path::{Path, PathBuf};

use lab_model::{Arch, ImageName};

use super::pull::pull;
use crate::distros::{Catalogue, Digest, Location, NotLocation, Order, Source, Verification};
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::images::{self, Registered, Wanted};
use crate::interrupt::Interrupt;
use crate::new_machine::host_arch;
use crate::removal;
use crate::ui::Ui;

/// Registers an image: a vendor's cloud image file, here or at a URL, or a folder with a manifest.json and the files that it
/// names.
///
/// A file is qcow2 or raw, as it is or compressed as gz, xz or zst. Kernel, initrd and kernel command line are found in it as its
/// own boot loader would find them. Its disk needs a GUID partition table, and its kernel has to be on ext4 or FAT.
///
/// A URL is downloaded as `distro pull` does it, and `distro pull` and `distro update` know the image from then on.
///
/// Every file of a folder is verified. Where that image is registered already, broken files are mended.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab distro add noble-server-cloudimg-arm64.img --name ubuntu-24.04\n  \
                        pvmlab distro add https://example.org/images/mine.qcow2 --checksums SHA256SUMS\n  \
                        pvmlab distro add \"$(cargo xtask image debian-12 --arch aarch64)\"")]
pub(crate) struct Add {
    /// The image's file, URL (https:, http: or file:) or folder.
    #[arg(value_name = "FILE|URL|FOLDER", value_hint = clap::ValueHint::AnyPath)]
    path: PathBuf,
    /// The image's name; that of the file if not given.
    #[arg(long)]
    name: Option<ImageName>,
    /// What the image has to be for; of a URL, what this host's processor executes otherwise.
    #[arg(long)]
    arch: Option<Arch>,
    /// Where the digest of a URL's file is listed: another URL, or a file beside it.
    #[arg(long, value_name = "URL|FILE", conflicts_with = "checksum")]
    checksums: Option<String>,
    /// The digest of a URL's file: sha256: or sha512: and hexadecimal digits.
    #[arg(long, value_name = "DIGEST")]
    checksum: Option<Digest>,
}

impl Add {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        home.require()?;
        if let Some(url) = self.path.to_str().filter(|path| path.contains("://")) {
            let url = url.parse().map_err(not_location)?;
            return self.download(url, home, ui);
        }
        if self.checksums.is_some() || self.checksum.is_some() {
            let message = format!("{} is here: only what comes from a URL is compared", self.path.display());
            return Err(Failure::new(Kind::Usage, message).hinted("leave out --checksums and --checksum"));
        }
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

    fn download(self, url: Location, home: &Home, ui: Ui) -> Result<()> {
        let name = match self.name {
            Some(name) => name,
            None => images::name_of(Path::new(url.file_name()))?,
        };
        let arch = self.arch.map_or_else(host_arch, Ok)?;
        let verification = match (self.checksum, self.checksums) {
            (Some(digest), _) => Verification::Pinned(digest),
            (None, Some(list)) => Verification::List(url.join(&list).map_err(not_location)?),
            (None, None) => Verification::None,
        };
        let source = Source { url, verification };
        if Catalogue::read(home, ui).find(&name, arch).is_ok_and(|listed| listed != source) {
            let message = format!("`{name}` for {arch} comes from elsewhere: `pvmlab distro show {name}` says where");
            return Err(Failure::new(Kind::Conflict, message).hinted(
                "give this one another name with --name, or change where that one comes from in distros.yaml",
            ));
        }
        pull(home, &[Order { name, arch, source }], ui)
    }

    fn prepare(self, home: &Home, ui: Ui) -> Result<()> {
        let wanted = Wanted { name: self.name.as_ref(), arch: self.arch, replaces: false };
        let (image, found) = images::prepare(home, &self.path, wanted, &Interrupt::hold(), ui)?;
        ui.say(found);
        ui.say(format_args!("registered image `{}` for {}", image.manifest.name, image.manifest.arch));
        Ok(())
    }
}

fn not_location(error: NotLocation) -> Failure {
    Failure::new(Kind::Usage, error.to_string())
}
