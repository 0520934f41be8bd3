//! An image's folder out of a vendor's file: what boots it is found, and its disk is packed.

use std::error::Error as _;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use disk_image::{Boot, NotBootable, TableKind, Volume};
use lab_model::{Arch, ImageFile, ImageManifest, ImageName, MANIFEST_FILE, Sha256};
use sha2::Digest as _;

use super::pack;
use super::source::{self, FETCH, Source};
use super::{Image, register};
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::interrupt::Interrupt;
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
    let boot = find(&source, path, wanted.arch)?;
    let target = home.image(&name, boot.arch());
    let there = if target.join(MANIFEST_FILE).exists() { Some(Image::open(&target)?) } else { None };
    if there.is_some() && !wanted.replaces {
        return Err(register::taken(&name, boot.arch()).hinted("or give this one another name with --name"));
    }
    let progress = Progress::start(&format!("preparing {name} for {}", boot.arch()), source.disk.size(), interrupt, ui);
    let fill = |folder: &Path| write(&source, &boot, &name, folder, &progress);
    let manifest = match &there {
        Some(there) => register::replace(home, there, fill)?,
        None => register::place(&target, fill)?,
    };
    let report = report(&source, &boot, &manifest);
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
        let boot = find(&source, path, Some(arch))?;
        let manifest = write(&source, &boot, name, folder, &progress)?;
        Ok(report(&source, &boot, &manifest))
    };
    prepare().map_err(|failure| anyhow::anyhow!("{failure}"))
}

fn find(source: &Source, path: &Path, arch: Option<Arch>) -> Result<Boot> {
    let boot = Boot::find(Arc::clone(&source.disk)).map_err(|error| not_bootable(path, error))?;
    if boot.table == TableKind::Mbr {
        let message = format!("{} has a master boot record instead of a GUID partition table", path.display());
        return Err(Failure::new(Kind::Failed, message)
            .hinted("the installer adds a partition to a GUID partition table: take the vendor's image for UEFI"));
    }
    match arch {
        Some(arch) if arch != boot.arch() => {
            let message = format!("{} is for {}, and {arch} was asked for", path.display(), boot.arch());
            Err(Failure::new(Kind::Usage, message)
                .hinted(format!("fetch the vendor's image for {arch}, or leave out --arch")))
        }
        Some(_) | None => Ok(boot),
    }
}

fn not_bootable(path: &Path, error: NotBootable) -> Failure {
    let hint = match &error {
        NotBootable::Hidden { volume: Volume::Luks, .. } => {
            "an encrypted system cannot be installed: take one that is not"
        }
        NotBootable::Hidden { volume: Volume::Lvm, .. } => "take an image whose system is on a partition of its own",
        NotBootable::Hidden { .. } => {
            "take an image with its kernel on ext4 or FAT, or make the image's folder by hand: docs/images.md says how"
        }
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
    boot: &Boot,
    name: &ImageName,
    folder: &Path,
    progress: &Progress<'_>,
) -> Result<ImageManifest> {
    let kernel = write_file(folder, "vmlinuz", &boot.kernel.image)?;
    let initrd = write_file(folder, "initrd.img", &boot.initrd)?;
    let disk = folder.join(DISK);
    let cannot = || format!("cannot write {}", disk.display());
    let mut file = File::create_new(&disk).with_context(cannot)?;
    let disk_name = DISK.parse().context("it is a plain name")?;
    let disk = pack::pack(&*source.disk, &mut file, disk_name, progress)?;
    file.sync_all().with_context(cannot)?;
    let manifest = ImageManifest {
        name: name.clone(),
        arch: boot.arch(),
        kernel,
        initrd,
        disk: Some(disk),
        files: Vec::new(),
        kernel_arguments: boot.consoles().into_iter().map(str::to_owned).collect(),
        installed_arguments: boot.arguments.clone(),
    };
    register::write_manifest(&manifest, folder)?;
    Ok(manifest)
}

/// Writes a file of an image, and says what a manifest says of it.
pub(super) fn write_file(folder: &Path, name: &str, content: &[u8]) -> Result<ImageFile> {
    crate::file::replace(&folder.join(name), content)?;
    let file = name.parse().context("it is a plain name")?;
    Ok(ImageFile { file, size: content.len() as u64, sha256: Sha256(sha2::Sha256::digest(content).into()) })
}

fn report(source: &Source, boot: &Boot, manifest: &ImageManifest) -> String {
    let Boot { path, partition, by, .. } = boot;
    let found = format!("{}: {path} on partition {partition} for {}, found by {by}", source.format, boot.arch());
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
const EXTENSIONS: [&str; 9] = ["qcow2", "qcow", "img", "raw", "xz", "gz", "zst", "zstd", "image"];
/// How much more the disk may take when it is unpacked, holes left out. An estimate: nothing says it before the end.
const UNPACKED: u64 = 5;
