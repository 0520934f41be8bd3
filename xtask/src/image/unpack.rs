//! An image's disk, as a machine has it that was not installed but given it.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail};
use lab_model::{ImageManifest, MANIFEST_FILE};

use super::layout::Layout;
use crate::packages;

/// Writes the disk of the image in `folder` to `file`, sparse, and returns the image's manifest.
///
/// # Errors
/// The image is broken, or there is no space for the disk.
pub(crate) fn unpack(folder: &Path, file: &Path) -> Result<ImageManifest> {
    let manifest = std::fs::read_to_string(folder.join(MANIFEST_FILE))
        .with_context(|| format!("there is no image in {}", folder.display()))?;
    let manifest = ImageManifest::from_json(&manifest)?;
    let image = manifest.disk.as_ref().with_context(|| format!("the image in {} has no disk", folder.display()))?;
    let packed = folder.join(image.file.as_str());
    let packed = File::open(&packed).with_context(|| format!("cannot open {}", packed.display()))?;
    let mut raw = zstd::Decoder::new(packed)?;
    let mut disk = File::create(file).with_context(|| format!("cannot create {}", file.display()))?;
    let mut buffer = vec![0; CHUNK];
    while let length @ 1.. = raw.read(&mut buffer)? {
        let piece = &buffer[..length];
        if piece.iter().all(|byte| *byte == 0) {
            disk.seek(SeekFrom::Current(length as i64))?;
        } else {
            disk.write_all(piece).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    disk.set_len(image.raw_size)?;
    Ok(manifest)
}

/// What the zstd decoder gives at a time is no more.
const CHUNK: usize = 128 << 10;

/// The packages that the system on an unpacked disk has, as dpkg's file `status` names them.
///
/// # Errors
/// It is no disk of an image of ours, or `debugfs` is not installed.
pub(crate) fn installed_packages(disk: &Path) -> Result<String> {
    let program = packages::find("debugfs").context("cannot find debugfs: install the package e2fsprogs")?;
    let root = format!("{}?offset={}", disk.display(), Layout::DEBIAN_12.root().offset);
    let output = Command::new(program).args(["-R", "cat /var/lib/dpkg/status", &root]).output()?;
    let status = String::from_utf8(output.stdout).context("dpkg's status is no text")?;
    if !status.starts_with("Package: ") {
        bail!("cannot read dpkg's status in {}: {}", disk.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(status)
}
