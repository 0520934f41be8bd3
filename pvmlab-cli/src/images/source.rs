//! A vendor's image file as a disk that can be read at any place.

mod packing;
mod raw;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use disk_image::{NotQcow2, Qcow2, ReadAt};

use crate::error::{Failure, Kind, Result};
use crate::progress::Progress;
use packing::Packing;
use raw::Raw;

/// An image file, open.
pub(super) struct Source {
    /// What it holds.
    pub(super) disk: Arc<dyn ReadAt>,
    /// What it is, for people: `qcow2`, `raw.xz`.
    pub(super) format: String,
}

impl Source {
    /// Opens the image in the file at `path`. One that is compressed as a whole is unpacked into a file without a name in
    /// `folder`, as nothing can be read from its middle.
    ///
    /// # Errors
    /// It is missing, of a format that is not known, or damaged; the disk is full, or `progress` was interrupted.
    pub(super) fn open(path: &Path, folder: &Path, progress: &Progress<'_>) -> Result<Self> {
        let file = open(path)?;
        let Some(packing) = Packing::of(&file).with_context(|| format!("cannot read {}", path.display()))? else {
            return Self::of_file(file, path, "");
        };
        let unpacked = packing.unpack(&file, path, folder, progress)?;
        Self::of_file(unpacked, path, packing.extension())
    }

    fn of_file(file: File, path: &Path, extension: &str) -> Result<Self> {
        let raw = Arc::new(Raw::new(file).with_context(|| format!("cannot read {}", path.display()))?);
        if Qcow2::is(&*raw) {
            let disk = Qcow2::open(raw).map_err(|error| refused(path, &error))?;
            return Ok(Self { disk: Arc::new(disk), format: format!("qcow2{extension}") });
        }
        let mut start = [0; 8];
        // What is shorter has no partitions either, and is told so.
        let _ = raw.read_at(0, &mut start);
        if let Some((_, format)) = FOREIGN.iter().find(|(magic, _)| start.starts_with(magic)) {
            let message = format!("{} is a {format} image, which is not read here", path.display());
            return Err(Failure::new(Kind::Failed, message).hinted(convert(path)));
        }
        Ok(Self { disk: raw, format: format!("raw{extension}") })
    }
}

/// How much of the disk that `path` is on the file takes, in bytes.
pub(super) fn allocated(path: &Path) -> Result<u64> {
    let metadata = open(path)?.metadata().with_context(|| format!("cannot read {}", path.display()))?;
    Ok(std::os::unix::fs::MetadataExt::blocks(&metadata).saturating_mul(512).min(metadata.len()))
}

/// Whether the file has to be unpacked as a whole.
pub(super) fn is_packed(path: &Path) -> Result<bool> {
    Ok(Packing::of(&open(path)?).with_context(|| format!("cannot read {}", path.display()))?.is_some())
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new(Kind::NotFound, format!("there is no {}", path.display()))
            .hinted("name a vendor's image file, or the folder of an image"),
        _ => anyhow::Error::from(error).context(format!("cannot open {}", path.display())).into(),
    })
}

fn refused(path: &Path, error: &NotQcow2) -> Failure {
    let failure = Failure::new(Kind::Failed, format!("{}: {error}", path.display()));
    match error {
        NotQcow2::Read(_) | NotQcow2::Broken(_) | NotQcow2::Corrupt | NotQcow2::Short => failure.hinted(FETCH),
        NotQcow2::Backed | NotQcow2::Encrypted | NotQcow2::Feature(_) => failure.hinted(convert(path)),
    }
}

fn convert(path: &Path) -> String {
    format!("make an image by itself of it: `qemu-img convert -O qcow2 {} NEW.qcow2`, and add that", path.display())
}

/// What to do about a file that is damaged.
pub(super) const FETCH: &str = "fetch the file again, and compare it with the checksum that its vendor publishes";

/// Formats that vendors use as well, by how their files begin.
const FOREIGN: [(&[u8], &str); 5] =
    [(b"KDMV", "VMDK"), (b"# Disk D", "VMDK"), (b"vhdxfile", "VHDX"), (b"conectix", "VHD"), (b"PK\x03\x04", "ZIP")];
