//! An image without a disk, put together from a kernel and what belongs to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use disk_image::Kernel;
use lab_model::{Arch, FileName, ImageFile, ImageManifest, ImageName, MANIFEST_FILE, Sha256};

use super::prepare::{INITRD, KERNEL, write_file};
use super::{Image, copy, register};
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::ui::Ui;

/// The files of this computer that an image is made of.
#[derive(Clone, Debug)]
pub(crate) struct Ingredients {
    /// As its vendor publishes it: it may have to be unwrapped.
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: PathBuf,
    /// What the kernel fetches besides, and how that is called in the image.
    pub(crate) files: Vec<(FileName, PathBuf)>,
}

/// Makes an image of the home out of these files, for what the kernel runs on.
///
/// # Errors
/// The kernel is none or not for `arch`, a file is missing, two have one name, the name is taken, the disk is full, or
/// somebody wants this to end. Then the home is as it was.
pub(crate) fn assemble(
    home: &Home,
    name: &ImageName,
    arch: Option<Arch>,
    from: &Ingredients,
    interrupt: &Interrupt,
    ui: Ui,
) -> Result<Image> {
    let kernel = read_kernel(&from.kernel, arch)?;
    let folder = home.image(name, kernel.arch);
    if folder.join(MANIFEST_FILE).exists() {
        return Err(register::taken(name, kernel.arch).hinted("or give this one another name with --name"));
    }
    let outline = outline(name, kernel.arch, from)?;
    let others = from.files.iter().map(|(_, path)| path).chain([&from.initrd]);
    let bytes = others.map(|path| size(path)).sum::<Result<u64>>()?;
    home.require_space(bytes + kernel.image.len() as u64)?;
    let progress = Progress::start(&format!("registering {name} for {}", kernel.arch), bytes, interrupt, ui);
    let manifest = register::place(&folder, |folder| fill(folder, outline, &kernel, from, &progress))?;
    Ok(Image { folder, manifest })
}

/// Makes an image of a kernel and an initial RAM file system for `arch` in `folder`, which is there and empty.
///
/// # Errors
/// As above; then `folder` holds no manifest.
pub fn assemble_into(folder: &Path, name: &ImageName, arch: Arch, kernel: &Path, initrd: &Path) -> anyhow::Result<()> {
    let from = Ingredients { kernel: kernel.to_owned(), initrd: initrd.to_owned(), files: Vec::new() };
    let assemble = || -> Result<ImageManifest> {
        let kernel = read_kernel(kernel, Some(arch))?;
        fill(folder, outline(name, arch, &from)?, &kernel, &from, &Progress::silent())
    };
    assemble().map(drop).map_err(|failure| anyhow::anyhow!("{failure}"))
}

/// Fills the folder of an image; its manifest comes last.
fn fill(
    folder: &Path,
    mut manifest: ImageManifest,
    kernel: &Kernel,
    from: &Ingredients,
    progress: &Progress<'_>,
) -> Result<ImageManifest> {
    manifest.kernel = write_file(folder, KERNEL, &kernel.image)?;
    take(&from.initrd, folder, &mut manifest.initrd, progress)?;
    for (file, (_, path)) in manifest.files.iter_mut().zip(&from.files) {
        take(path, folder, file, progress)?;
    }
    register::write_manifest(&manifest, folder)?;
    Ok(manifest)
}

/// The manifest, before anybody knows how long the files are: whether it can be one depends on their names alone.
fn outline(name: &ImageName, arch: Arch, from: &Ingredients) -> Result<ImageManifest> {
    let file = |file: FileName| ImageFile { file, size: 0, sha256: Sha256([0; 32]) };
    let plain = |name: &str| name.parse().context("it is a plain name");
    let manifest = ImageManifest {
        name: name.clone(),
        arch,
        kernel: file(plain(KERNEL)?),
        initrd: file(plain(INITRD)?),
        disk: None,
        files: from.files.iter().map(|(name, _)| file(name.clone())).collect(),
        kernel_arguments: Vec::new(),
        installed_arguments: None,
    };
    let check = manifest.check().map(|()| manifest);
    check.map_err(|error| Failure::new(Kind::Usage, error.to_string()).hinted("name it with --file NAME=FILE"))
}

fn read_kernel(path: &Path, arch: Option<Arch>) -> Result<Kernel> {
    if size(path)? > KERNEL_MAX {
        let message = format!("{} is longer than any kernel", path.display());
        return Err(Failure::new(Kind::Failed, message).hinted(KERNELS));
    }
    let file = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let kernel = Kernel::read(file)
        .map_err(|error| Failure::new(Kind::Failed, format!("{}: {error}", path.display())).hinted(KERNELS))?;
    match arch {
        Some(arch) if arch != kernel.arch => {
            let message = format!("{} is for {}, and {arch} was asked for", path.display(), kernel.arch);
            Err(Failure::new(Kind::Usage, message).hinted("take the vendor's files for it, or change --arch"))
        }
        Some(_) | None => Ok(kernel),
    }
}

fn size(path: &Path) -> Result<u64> {
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::new(Kind::NotFound, format!("there is no {}", path.display())),
        _ => anyhow::Error::from(error).context(format!("cannot read {}", path.display())).into(),
    })?;
    if !metadata.is_file() {
        return Err(Failure::new(Kind::Failed, format!("{} is not a file", path.display())));
    }
    Ok(metadata.len())
}

fn take(path: &Path, folder: &Path, file: &mut ImageFile, progress: &Progress<'_>) -> Result<()> {
    let to = folder.join(file.file.as_str());
    // A link would be taken as it is, and lead nowhere one day.
    let from = fs::canonicalize(path).with_context(|| format!("cannot read {}", path.display()))?;
    (file.size, file.sha256) = copy::second_name(&from, &to, progress)?;
    Ok(())
}

/// Distributions' largest have some 60 MiB.
const KERNEL_MAX: u64 = 512 << 20;

const KERNELS: &str = "take the kernel that the vendor has for booting over the network, such as `linux` or `vmlinuz`";
