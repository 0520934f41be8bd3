//! An image's folder out of a vendor's file: what boots it is found, and its disk is packed.

use std::error::Error as _;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use disk_image::{Boot, NotBootable, Table, TableKind, Volume};
use lab_model::{Arch, ImageFile, ImageManifest, ImageName, MANIFEST_FILE, Sha256};
use sha2::Digest as _;

use super::pack;
use super::source::{self, FETCH, Source};
use super::{Image, copy, register};
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::new_machine::host_arch;
use crate::progress::Progress;
use crate::ui::Ui;

/// What a person says of a vendor's file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The image's name; the file's own where they do not say.
    pub(crate) name: Option<&'a ImageName>,
    /// What it is to run on; whatever it runs on where they do not say.
    pub(crate) arch: Option<Arch>,
    /// Whether an image that has the name already becomes this one.
    pub(crate) replaces: bool,
    /// The image whose kernel starts the installer; its own where they do not say.
    pub(crate) installer_kernel: Option<&'a ImageName>,
}

/// What starts the installer of an image.
enum Start {
    /// What the image itself boots.
    Own(Boot),
    /// Another image's kernel, because the image has none that can, or is no Linux.
    Another(Box<Image>),
}

/// Makes an image of the home out of the file at `path`; the second value says in one line what was found.
///
/// # Errors
/// The file holds nothing that boots, or nothing that can be installed here; the name is taken, the disk is full, or
/// somebody wants this to end. Then the home is as it was.
pub(crate) fn prepare(
    home: &Home,
    path: &Path,
    wanted: Wanted<'_>,
    interrupt: &Interrupt,
    ui: Ui,
) -> Result<(Image, String)> {
    let name = match wanted.name {
        Some(name) => name.clone(),
        None => name_of(path)?,
    };
    let (allocated, is_packed) = (source::allocated(path)?, source::is_packed(path)?);
    home.require_space(if is_packed { allocated.saturating_mul(UNPACKED) } else { allocated })?;
    let unpacking = Progress::start(&format!("unpacking {}", path.display()), allocated, interrupt, ui);
    let source = Source::open(path, home.root(), &unpacking)?;
    drop(unpacking);
    let start = match wanted.installer_kernel {
        None => Start::Own(find(&source, path, wanted.arch)?),
        Some(kernel) => Start::Another(Box::new(another(home, kernel, &source, path, wanted.arch)?)),
    };
    let target = home.image(&name, start.arch());
    let there = if target.join(MANIFEST_FILE).exists() { Some(Image::open(&target)?) } else { None };
    if there.is_some() && !wanted.replaces {
        return Err(register::taken(&name, start.arch()).hinted("or give this one another name with --name"));
    }
    let what = format!("preparing {name} for {}", start.arch());
    let progress = Progress::start(&what, source.disk.size(), interrupt, ui);
    let fill = |folder: &Path| write(&source, &start, &name, folder, &progress);
    let manifest = match &there {
        Some(there) => register::replace(home, there, fill)?,
        None => register::place(&target, fill)?,
    };
    let report = report(&source, &start, &manifest);
    Ok((Image { folder: target, manifest }, report))
}

/// Makes an image out of the file at `path` in `folder`, which is there and empty; returns what was found, in one line.
///
/// # Errors
/// As above; then `folder` holds no manifest.
pub fn prepare_into(folder: &Path, path: &Path, name: &ImageName, arch: Arch) -> anyhow::Result<String> {
    let prepare = || -> Result<String> {
        let progress = Progress::silent();
        let source = Source::open(path, folder, &progress)?;
        let start = Start::Own(find(&source, path, Some(arch))?);
        let manifest = write(&source, &start, name, folder, &progress)?;
        Ok(report(&source, &start, &manifest))
    };
    prepare().map_err(|failure| anyhow::anyhow!("{failure}"))
}

fn find(source: &Source, path: &Path, arch: Option<Arch>) -> Result<Boot> {
    let boot = Boot::find(Arc::clone(&source.disk)).map_err(|error| not_bootable(path, error))?;
    require_gpt(boot.table, path)?;
    match arch {
        Some(arch) if arch != boot.arch() => {
            let message = format!("{} is for {}, and {arch} was asked for", path.display(), boot.arch());
            Err(Failure::new(Kind::Usage, message)
                .hinted(format!("fetch the vendor's image for {arch}, or leave out --arch")))
        }
        Some(_) | None => Ok(boot),
    }
}

/// The image called `name`, whose kernel is to write this disk.
fn another(home: &Home, name: &ImageName, source: &Source, path: &Path, arch: Option<Arch>) -> Result<Image> {
    let table = Table::read(&*source.disk).map_err(|error| not_bootable(path, error.into()))?;
    require_gpt(table.kind, path)?;
    let arch = arch.map_or_else(host_arch, Ok)?;
    Image::find(home, name, arch)
        .map_err(|failure| failure.hinted(format!("its kernel is to write {}", path.display())))
}

fn require_gpt(table: TableKind, path: &Path) -> Result<()> {
    match table {
        TableKind::Gpt => Ok(()),
        TableKind::Mbr => {
            let message = format!("{} has a master boot record instead of a GUID partition table", path.display());
            Err(Failure::new(Kind::Failed, message)
                .hinted("the installer adds a partition to a GUID partition table: take the vendor's image for UEFI"))
        }
    }
}

fn not_bootable(path: &Path, error: NotBootable) -> Failure {
    let hint = match &error {
        NotBootable::Hidden { volume: Volume::Luks, .. } => {
            "an encrypted system cannot be installed: take one that is not"
        }
        NotBootable::Hidden { volume: Volume::Lvm, .. } => "take an image whose system is on a partition of its own",
        NotBootable::Hidden { .. } => "have its disk written by another image's kernel: `--installer-kernel debian-12`",
        NotBootable::Table(_) | NotBootable::Unreadable { .. } => FETCH,
        NotBootable::Kernel { .. } | NotBootable::NoKernel(_) => {
            "take a vendor's image for clouds or virtual machines, which boots by itself; an installer's ISO image does not"
        }
    };
    let mut message = format!("{}: {error}", path.display());
    let mut cause = error.source();
    while let Some(next) = cause {
        message += &format!(": {next}");
        cause = next.source();
    }
    Failure::new(Kind::Failed, message).hinted(hint)
}

/// Fills the folder of an image; its manifest comes last.
fn write(
    source: &Source,
    start: &Start,
    name: &ImageName,
    folder: &Path,
    progress: &Progress<'_>,
) -> Result<ImageManifest> {
    let (kernel, initrd) = start.write(folder, progress)?;
    let disk = folder.join(DISK);
    let cannot = || format!("cannot write {}", disk.display());
    let mut file = File::create_new(&disk).with_context(cannot)?;
    let disk_name = DISK.parse().context("it is a plain name")?;
    let disk = pack::pack(&*source.disk, &mut file, disk_name, progress)?;
    file.sync_all().with_context(cannot)?;
    let manifest = ImageManifest {
        name: name.clone(),
        arch: start.arch(),
        kernel,
        initrd,
        disk: Some(disk),
        files: Vec::new(),
        kernel_arguments: start.kernel_arguments(),
        installed_arguments: match start {
            Start::Own(boot) => boot.arguments.clone(),
            Start::Another(_) => None,
        },
    };
    register::write_manifest(&manifest, folder)?;
    Ok(manifest)
}

impl Start {
    fn arch(&self) -> Arch {
        match self {
            Self::Own(boot) => boot.arch(),
            Self::Another(image) => image.manifest.arch,
        }
    }

    fn kernel_arguments(&self) -> Vec<String> {
        match self {
            Self::Own(boot) => boot.consoles().into_iter().map(str::to_owned).collect(),
            Self::Another(image) => image.manifest.kernel_arguments.clone(),
        }
    }

    /// Brings kernel and initrd into the folder of an image.
    fn write(&self, folder: &Path, progress: &Progress<'_>) -> Result<(ImageFile, ImageFile)> {
        match self {
            Self::Own(boot) => {
                Ok((write_file(folder, KERNEL, &boot.kernel.image)?, write_file(folder, INITRD, &boot.initrd)?))
            }
            Self::Another(image) => {
                let take = |part: &ImageFile, name: &str| -> Result<ImageFile> {
                    let (size, sha256) =
                        copy::second_name(&image.folder.join(part.file.as_str()), &folder.join(name), progress)?;
                    Ok(ImageFile { file: name.parse().context("it is a plain name")?, size, sha256 })
                };
                Ok((take(&image.manifest.kernel, KERNEL)?, take(&image.manifest.initrd, INITRD)?))
            }
        }
    }
}

/// Writes a file of an image, and says what a manifest says of it.
pub(super) fn write_file(folder: &Path, name: &str, content: &[u8]) -> Result<ImageFile> {
    crate::file::replace(&folder.join(name), content)?;
    let file = name.parse().context("it is a plain name")?;
    Ok(ImageFile { file, size: content.len() as u64, sha256: Sha256(sha2::Sha256::digest(content).into()) })
}

fn report(source: &Source, start: &Start, manifest: &ImageManifest) -> String {
    let found = match start {
        Start::Own(Boot { path, partition, by, .. }) => {
            format!("{path} on partition {partition} for {}, found by {by}", start.arch())
        }
        Start::Another(image) => format!("to be written by the kernel of {} for {}", image.manifest.name, start.arch()),
    };
    let found = format!("{}: {found}", source.format);
    let Some(disk) = &manifest.disk else { return found };
    let zeros = disk.chunks.iter().filter(|chunk| chunk.zero).count() * 100 / disk.chunks.len().max(1);
    let (disk, packed) = (disk.raw_size >> 20, disk.size.div_ceil(1 << 20));
    format!("{found}; {disk} MiB of disk, {zeros} % of it zeros, in {packed} MiB")
}

/// An image's name of a file's: `noble-server-cloudimg-arm64.img.xz` is `noble-server-cloudimg-arm64`.
///
/// # Errors
/// It is none.
pub(crate) fn name_of(path: &Path) -> Result<ImageName> {
    let file = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut name = file.as_str();
    while let Some((rest, _)) = name.rsplit_once('.').filter(|(_, extension)| EXTENSIONS.contains(extension)) {
        name = rest;
    }
    name.parse().map_err(|error| {
        Failure::new(Kind::Usage, format!("the file's name is no image's name: {error}"))
            .hinted("give it one with --name")
    })
}

const DISK: &str = "disk.raw.zst";
pub(super) const KERNEL: &str = "vmlinuz";
pub(super) const INITRD: &str = "initrd.img";
const EXTENSIONS: [&str; 9] = ["qcow2", "qcow", "img", "raw", "xz", "gz", "zst", "zstd", "image"];
/// How much more the disk may take when it is unpacked, holes left out. An estimate: nothing says it before the end.
const UNPACKED: u64 = 5;
