use std::path::{Path, PathBuf};
use std::str::FromStr;

use lab_model::{Arch, FileName, ImageName};

use super::pull::pull;
use crate::distros::{Catalogue, Digest, Fetcher, Location, NotLocation, Order, Place, Source, Verification};
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::images::{self, Image, Ingredients, Registered, Wanted};
use crate::interrupt::Interrupt;
use crate::new_machine::host_arch;
use crate::removal;
use crate::ui::Ui;

/// Registers an image: a vendor's cloud image file, here or at a URL, a folder with a manifest.json and the files that it
/// names, or a kernel with what belongs to it.
///
/// A file is qcow2 or raw, as it is or compressed as gz, xz or zst. Kernel, initrd and kernel command line are found in it as its
/// own boot loader would find them. Its disk needs a GUID partition table, and its kernel has to be on ext4 or FAT; where it is not,
/// or the system is no Linux, --installer-kernel has the disk written by another image's kernel.
///
/// A URL is downloaded as `distro pull` does it, and `distro pull` and `distro update` know the image from then on.
///
/// Every file of a folder is verified. Where that image is registered already, broken files are mended.
///
/// With --kernel the image has no disk: it cannot be installed, but profiles of kind `installer` and `live` start it, as vendors'
/// installers and live systems want it. What the kernel is for is seen in it. A part is a file or a URL, behind which `#sha256:…` or
/// `#sha512:…` may say what it has to be; parts from URLs are downloaded once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab distro add noble-server-cloudimg-arm64.img --name ubuntu-24.04\n  \
                        pvmlab distro add https://example.org/images/mine.qcow2 --checksums SHA256SUMS\n  \
                        pvmlab distro add FreeBSD-14.3-RELEASE-amd64.raw.xz --name freebsd-14 --installer-kernel debian-12\n  \
                        pvmlab distro add \"$(cargo xtask image debian-12 --arch aarch64)\"\n  \
                        pvmlab distro add --name debian-12-netboot --kernel linux --initrd initrd.gz\n  \
                        pvmlab distro add --name alpine-netboot --kernel boot/vmlinuz-virt --initrd boot/initramfs-virt \
                        --file boot/modloop-virt")]
pub(crate) struct Add {
    /// The image's file, URL (https:, http: or file:) or folder.
    #[arg(value_name = "FILE|URL|FOLDER", value_hint = clap::ValueHint::AnyPath, required_unless_present = "kernel")]
    path: Option<PathBuf>,
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
    /// Has the disk written by the kernel of this image, because its own cannot be found, or is no Linux.
    #[arg(long, value_name = "IMAGE")]
    installer_kernel: Option<ImageName>,
    /// The kernel of an image without a disk.
    #[arg(long, value_name = "FILE|URL", value_hint = clap::ValueHint::AnyPath, requires_all = ["initrd", "name"],
          conflicts_with_all = ["path", "checksum", "checksums", "installer_kernel"])]
    kernel: Option<Place>,
    /// Its initial RAM file system.
    #[arg(long, value_name = "FILE|URL", value_hint = clap::ValueHint::AnyPath, requires = "kernel")]
    initrd: Option<Place>,
    /// A further file of it, which profiles name as `{{ image }}/NAME`; its own name if not given. Can be repeated.
    #[arg(long = "file", value_name = "[NAME=]FILE|URL", value_hint = clap::ValueHint::AnyPath, requires = "kernel")]
    files: Vec<Named>,
}

/// A file and how it is called in the image.
#[derive(Clone, Debug)]
struct Named {
    name: FileName,
    place: Place,
}

impl Add {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        home.require()?;
        let Self { path, name, arch, checksums, checksum, installer_kernel, kernel, initrd, files } = self;
        if let (Some(kernel), Some(initrd), Some(name)) = (kernel, initrd, &name) {
            return assemble(&Parts { name, arch, kernel, initrd, files }, home, ui);
        }
        let path = path.unwrap_or_default();
        if let Some(url) = path.to_str().filter(|path| path.contains("://")) {
            let url: Location = url.parse().map_err(not_location)?;
            let verification = match (checksum, checksums) {
                (Some(digest), _) => Verification::Pinned(digest),
                (None, Some(list)) => Verification::List(url.join(&list).map_err(not_location)?),
                (None, None) => Verification::None,
            };
            return download(Source { url, verification, installer_kernel }, name, arch, home, ui);
        }
        if checksums.is_some() || checksum.is_some() {
            let message = format!("{} is here: only what comes from a URL is compared", path.display());
            return Err(Failure::new(Kind::Usage, message).hinted("leave out --checksums and --checksum"));
        }
        let lock = home.lock()?;
        removal::sweep(home, &lock)?;
        if !path.is_dir() {
            let installer_kernel = installer_kernel.as_ref();
            let wanted = Wanted { name: name.as_ref(), arch, replaces: false, installer_kernel };
            let (image, found) = images::prepare(home, &path, wanted, &Interrupt::hold(), ui)?;
            ui.say(found);
            ui.say(format_args!("registered image `{}` for {}", image.manifest.name, image.manifest.arch));
            return Ok(());
        }
        if name.is_some() || arch.is_some() || installer_kernel.is_some() {
            let message =
                format!("{} is a folder, whose manifest says its name, architecture and kernel", path.display());
            return Err(Failure::new(Kind::Usage, message).hinted("leave out --name, --arch and --installer-kernel"));
        }
        let (image, done) = images::register(home, &path, &Interrupt::hold(), ui)?;
        let (name, arch) = (&image.manifest.name, image.manifest.arch);
        match done {
            Registered::New => ui.say(format_args!("registered image `{name}` for {arch}")),
            Registered::Already => ui.say(format_args!("image `{name}` for {arch} is registered, and whole")),
            Registered::Mended => ui.say(format_args!("mended image `{name}` for {arch}")),
        }
        Ok(())
    }
}

fn download(source: Source, name: Option<ImageName>, arch: Option<Arch>, home: &Home, ui: Ui) -> Result<()> {
    let name = name.map_or_else(|| images::name_of(Path::new(source.url.file_name())), Ok)?;
    let arch = arch.map_or_else(host_arch, Ok)?;
    if Catalogue::read(home, ui).find(&name, arch).is_ok_and(|listed| listed != source) {
        let message = format!("`{name}` for {arch} comes from elsewhere: `pvmlab distro show {name}` says where");
        return Err(Failure::new(Kind::Conflict, message)
            .hinted("give this one another name with --name, or change where that one comes from in distros.yaml"));
    }
    pull(home, &[Order { name, arch, source }], ui)
}

/// An image without a disk, as a person wants it.
struct Parts<'a> {
    name: &'a ImageName,
    arch: Option<Arch>,
    kernel: Place,
    initrd: Place,
    files: Vec<Named>,
}

fn assemble(parts: &Parts<'_>, home: &Home, ui: Ui) -> Result<()> {
    let Parts { name, arch, kernel, initrd, files } = parts;
    let interrupt = Interrupt::hold();
    let places: Vec<_> = [kernel, initrd].into_iter().chain(files.iter().map(|file| &file.place)).collect();
    let (mut arch, mut download) = (*arch, None);
    if places.iter().any(|place| matches!(place, Place::Elsewhere { .. })) {
        // What a download is for has to be known before it comes.
        let wanted = arch.map_or_else(host_arch, Ok)?;
        if Image::find(home, name, wanted).is_ok() {
            return Err(images::taken(name, wanted));
        }
        arch = Some(wanted);
        download = Some((home.download(name, wanted).join("parts"), home.lock_download(name, wanted, &interrupt)?));
    }
    let folder = download.as_ref().map(|(folder, _)| &**folder);
    let fetcher = Fetcher::new(home, &interrupt, ui)?;
    let mut paths = fetcher.fetch_places(&places, folder.unwrap_or(home.root()))?.into_iter();
    let (kernel, initrd) = (paths.next().unwrap_or_default(), paths.next().unwrap_or_default());
    let files = files.iter().map(|file| file.name.clone()).zip(paths).collect();

    let lock = home.lock_patiently(&interrupt)?;
    removal::sweep(home, &lock)?;
    let image = images::assemble(home, name, arch, &Ingredients { kernel, initrd, files }, &interrupt, ui)?;
    if let Some(folder) = folder {
        removal::remove_path(folder)?;
    }
    ui.say(format_args!("registered image `{name}` for {}, without a disk", image.manifest.arch));
    Ok(())
}

impl FromStr for Named {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        // A URL may have the sign too, and no plain name stands before it there.
        let named = text.split_once('=').and_then(|(name, place)| Some((name.parse().ok()?, place)));
        let (name, place) = named.map_or((None, text), |(name, place)| (Some(name), place));
        let place: Place = place.parse()?;
        let name = name.map_or_else(|| place.file_name().parse(), Ok)?;
        Ok(Self { name, place })
    }
}

fn not_location(error: NotLocation) -> Failure {
    Failure::new(Kind::Usage, error.to_string())
}
