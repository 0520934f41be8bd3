//! The operating system images of a home: `images/<name>/<arch>/` with a manifest and the files that it names.
//!
//! An image comes as a folder that somebody made (`register`), or as a vendor's file (`prepare`): what boots it is found as its
//! own boot loader would find it, and its disk is packed by chunks (`pack`); or as a kernel and what belongs to it
//! (`assemble`). What is not here: fetching any of them, which `distros` does.

mod assemble;
mod base;
mod copy;
mod hashing;
mod pack;
mod prepare;
mod register;
mod source;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lab_model::{Arch, DiskImage, FileName, ImageManifest, ImageName, ImagePart, MANIFEST_FILE, Sha256};
use serde::Serialize;

use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::ui::Ui;

pub use assemble::assemble_into;
pub(crate) use assemble::{Ingredients, assemble};
pub(crate) use base::base_disk;
pub use prepare::prepare_into;
pub(crate) use prepare::{Wanted, name_of, prepare};
pub(crate) use register::{Registered, register, taken, unregister};

/// One registered image.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// Where it lies.
    pub(crate) folder: PathBuf,
    /// What it consists of.
    pub(crate) manifest: ImageManifest,
}

/// A folder among the images that holds none that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct BadImage {
    /// `<name>/<arch>`.
    pub(crate) folder: String,
    /// What is wrong with it.
    pub(crate) problem: String,
}

impl Image {
    /// The image of this name and architecture.
    ///
    /// # Errors
    /// It is not registered, or its manifest cannot be used.
    pub(crate) fn find(home: &Home, name: &ImageName, arch: Arch) -> Result<Self> {
        let folder = home.image(name, arch);
        if !folder.join(MANIFEST_FILE).exists() {
            return Err(Failure::new(Kind::NotFound, format!("there is no image `{name}` for {arch}"))
                .hinted(format!(
                    "pull it with `pvmlab distro pull {name} --arch {arch}`, or `pvmlab distro add` your own"
                ))
                .hinted("`pvmlab distro ls` shows what there is"));
        }
        let image = Self::open(&folder)?;
        if (&image.manifest.name, image.manifest.arch) != (name, arch) {
            let message = format!(
                "{} says that it is `{}` for {}",
                folder.join(MANIFEST_FILE).display(),
                image.manifest.name,
                image.manifest.arch
            );
            return Err(Failure::new(Kind::Failed, message).hinted("remove that folder, and register the image again"));
        }
        Ok(image)
    }

    /// The image that a machine is made from: the named one, or the only one for its architecture.
    ///
    /// # Errors
    /// There is none, or more than one and no name.
    pub(crate) fn choose(home: &Home, name: Option<&ImageName>, arch: Arch) -> Result<Self> {
        if let Some(name) = name {
            return Self::find(home, name, arch);
        }
        let (mut images, _) = all(home)?;
        // What has no disk is for profiles, and named by them.
        images.retain(|image| image.manifest.arch == arch && image.manifest.disk.is_some());
        let names: Vec<_> = images.iter().map(|image| image.manifest.name.to_string()).collect();
        match (images.pop(), names.len()) {
            (Some(image), 1) => Ok(image),
            (None, _) => Err(Failure::new(Kind::NotFound, format!("there is no image for {arch} yet"))
                .hinted(format!("pull one with `pvmlab distro pull --arch {arch}`, or `pvmlab distro add` your own"))),
            (Some(_), _) => Err(Failure::new(Kind::Usage, format!("there are several images for {arch}"))
                .hinted(format!("choose one with --distro: {}", names.join(", ")))),
        }
    }

    /// The image in this folder.
    ///
    /// # Errors
    /// There is no manifest, or it cannot be used.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST_FILE);
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Failure::new(Kind::NotFound, format!("there is no {}", path.display()))
                    .hinted(format!("name the folder of an image; {MAKE}"))
            }
            _ => anyhow::Error::from(error).context(format!("cannot read {}", path.display())).into(),
        })?;
        let manifest = ImageManifest::from_json(&text)
            .map_err(|error| Failure::new(Kind::Failed, format!("{}: {error}", path.display())))?;
        Ok(Self { folder: folder.to_owned(), manifest })
    }

    /// How long its files are together, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.manifest.parts().map(|part| part.size).sum()
    }

    /// Whether every file is there and as long as it should be; what is wrong if not.
    pub(crate) fn glance(&self) -> Option<String> {
        self.manifest.parts().find_map(|ImagePart { file: name, size, .. }| match fs::metadata(self.path(name)) {
            Ok(file) if !file.is_file() => Some(format!("{name} is not a file")),
            Ok(file) if file.len() != size => Some(format!("{name} has {} bytes: expected {size}", file.len())),
            Ok(_) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(format!("{name} is missing")),
            Err(error) => Some(format!("{name} cannot be read: {error}")),
        })
    }

    /// Reads every file through.
    ///
    /// # Errors
    /// One is not what the manifest says, or somebody wants this to end.
    pub(crate) fn verify(&self, interrupt: &Interrupt, ui: Ui) -> Result<()> {
        let what = format!("verifying {} for {}", self.manifest.name, self.manifest.arch);
        let progress = Progress::start(&what, self.size(), interrupt, ui);
        self.manifest.parts().try_for_each(|part| self.verify_part(part, &progress))
    }

    /// What is installed, and what machines' disks begin as.
    ///
    /// # Errors
    /// The image has no disk.
    pub(crate) fn disk(&self) -> Result<&DiskImage> {
        let ImageManifest { name, arch, .. } = &self.manifest;
        self.manifest.disk.as_ref().ok_or_else(|| {
            Failure::new(
                Kind::Usage,
                format!("the image `{name}` for {arch} has no disk that a machine could begin with"),
            )
            .hinted("choose another image, or let a profile start its kernel: `--pxeboot --profile NAME`")
        })
    }

    fn path(&self, name: &FileName) -> PathBuf {
        self.folder.join(name.as_str())
    }

    fn verify_part(&self, part: ImagePart<'_>, progress: &Progress<'_>) -> Result<()> {
        let path = self.path(part.file);
        let found = hashing::file(&path, progress)?;
        if found != (part.size, part.sha256) {
            return Err(corrupted(&path, part, found, MEND));
        }
        Ok(())
    }
}

/// Every image of a home, by name and architecture, and the folders that hold none.
///
/// # Errors
/// The folder of images cannot be read.
pub(crate) fn all(home: &Home) -> Result<(Vec<Image>, Vec<BadImage>)> {
    let (mut images, mut bad) = (Vec::new(), Vec::new());
    for name in folders(&home.images())? {
        for arch in folders(&home.images().join(&name))? {
            let folder = format!("{name}/{arch}");
            let found = match (name.parse(), arch.parse::<Arch>()) {
                (Ok(name), Ok(parsed)) if parsed.as_str() == arch => Image::find(home, &name, parsed),
                // Other folders are whoever's they are.
                _ => continue,
            };
            match found {
                Ok(image) => images.push(image),
                Err(failure) => bad.push(BadImage { folder, problem: failure.to_string() }),
            }
        }
    }
    Ok((images, bad))
}

/// How people who build from source get an image.
const MAKE: &str = "`cargo xtask image debian-12 --arch ARCH` makes one and prints its folder";

/// What to do about a registered image that is broken.
const MEND: &str =
    "`pvmlab distro add FOLDER` with its original folder mends an image; remove and pull again what was pulled";

/// A file is not what its manifest says.
fn corrupted(path: &Path, part: ImagePart<'_>, (size, _): (u64, Sha256), hint: &str) -> Failure {
    let problem = match size {
        size if size == part.size => "its SHA-256 is not the manifest's".to_owned(),
        size => format!("it has {size} bytes: expected {}", part.size),
    };
    Failure::new(Kind::Failed, format!("{} is corrupted: {problem}", path.display())).hinted(hint)
}

/// The names of the folders in `folder`, in order, without hidden ones.
fn folders(folder: &Path) -> Result<Vec<String>> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if fs::metadata(entry.path()).is_ok_and(|entry| entry.is_dir()) {
                names.extend(entry.file_name().into_string().ok().filter(|name| !name.starts_with('.')));
            }
        }
        names.sort();
        Ok(names)
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => Ok(names.with_context(|| format!("cannot read {}", folder.display()))?),
    }
}
