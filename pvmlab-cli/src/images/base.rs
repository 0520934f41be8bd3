//! The disk that the disks of machines are laid over: an image's, decompressed once.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lab_model::{Compression, DiskImage, Sha256};
use sha2::Digest as _;

use super::hashing::CHUNK;
use super::{Image, MEND};
use crate::disk;
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::removal;
use crate::ui::Ui;

/// The path of the image's raw disk, which nobody may change; made where there is none yet.
///
/// It is raw and full of holes: QEMU reads it as fast as the image's own format, and it takes no second program to make.
///
/// # Errors
/// The image has no disk or is corrupted, there is no space, or somebody wants this to end; then nothing is left behind.
pub(crate) fn base_disk(image: &Image, interrupt: &Interrupt, ui: Ui) -> Result<PathBuf> {
    let disk = image.disk()?;
    let path = image.folder.join(name(disk));
    if fs::metadata(&path).is_ok_and(|file| file.len() == disk.raw_size) {
        return Ok(path);
    }
    let what = format!("unpacking {} for {}", image.manifest.name, image.manifest.arch);
    let progress = Progress::start(&what, disk.raw_size, interrupt, ui);
    if disk.raw_sha256.is_none() {
        // What it unpacks to is vouched for by what it is.
        image.verify_part(disk.part(), &Progress::start(&what, disk.size, interrupt, ui))?;
    }
    unpack(&image.folder.join(disk.file.as_str()), disk, &path, &progress)?;
    Ok(path)
}

/// Its name beside the manifest, which does not have it: it is made from what the manifest names. An image that becomes another
/// version keeps the disks that machines stand on, so each version's has a name of its own.
pub(super) fn name(disk: &DiskImage) -> String {
    let digest = disk.sha256.to_string();
    format!("{PREFIX}{}{SUFFIX}", &digest[..16])
}

/// Removes the disks of earlier versions that nobody stands on any more.
///
/// # Errors
/// A folder cannot be read, or a file belongs to somebody else.
pub(super) fn prune(home: &Home, image: &Image) -> Result<()> {
    let current = image.manifest.disk.as_ref().map(name);
    let mut needed = Vec::new();
    for path in entries(&home.vms())? {
        if path.extension().is_some_and(|extension| extension == "qcow2") {
            // Nobody knows what a file that is no disk stands on, so everything stays.
            let Ok(base) = disk::base(&path) else { return Ok(()) };
            needed.extend(base.map(|base| home.vms().join(base)).and_then(|base| fs::canonicalize(base).ok()));
        }
    }
    for path in entries(&image.folder)? {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let is_base = name.starts_with(PREFIX) && name.ends_with(SUFFIX);
        let is_needed = fs::canonicalize(&path).is_ok_and(|path| needed.contains(&path));
        if is_base && current.as_deref() != Some(name) && !is_needed {
            removal::remove_path(&path)?;
        }
    }
    Ok(())
}

const PREFIX: &str = "base-";
const SUFFIX: &str = ".raw";

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    Ok(read().with_context(|| format!("cannot read {}", folder.display()))?)
}

fn unpack(packed: &Path, disk: &DiskImage, target: &Path, progress: &Progress<'_>) -> Result<()> {
    let folder = target.parent().context("a disk is in a folder")?;
    let cannot = || format!("cannot write {}", target.display());
    let mut raw = tempfile::Builder::new().prefix(".new-").tempfile_in(folder).with_context(cannot)?;
    let digest = match disk.compression {
        Compression::Zstd => write_sparse(packed, raw.as_file_mut(), disk.raw_size, progress)?,
    };
    if disk.raw_sha256.is_some_and(|expected| expected != digest) {
        return Err(corrupted(packed, "what it unpacks to is not what the manifest says"));
    }
    raw.as_file().set_permissions(fs::Permissions::from_mode(0o444)).with_context(cannot)?;
    raw.as_file().sync_all().with_context(cannot)?;
    raw.persist(target).with_context(cannot)?;
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(cannot)?;
    Ok(())
}

/// Writes what is not zero; the rest are holes.
fn write_sparse(packed: &Path, raw: &mut File, size: u64, progress: &Progress<'_>) -> Result<Sha256> {
    let broken = |error: io::Error| corrupted(packed, &error.to_string());
    let source = File::open(packed).with_context(|| format!("cannot open {}", packed.display()))?;
    let mut decoder =
        zstd::Decoder::with_buffer(BufReader::with_capacity(CHUNK, source)).context("cannot start zstd")?;
    let mut hash = sha2::Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut length = 0;
    raw.set_len(size).context("cannot write the disk")?;
    while length < size {
        let wanted = buffer.len().min(usize::try_from(size - length).unwrap_or(usize::MAX));
        let block = &mut buffer[..wanted];
        decoder.read_exact(block).map_err(broken)?;
        hash.update(&*block);
        for piece in block.chunks(HOLE) {
            if piece.iter().any(|byte| *byte != 0) {
                raw.seek(SeekFrom::Start(length)).context("cannot write the disk")?;
                raw.write_all(piece).context("cannot write the disk")?;
            }
            length += piece.len() as u64;
        }
        progress.advance(wanted)?;
    }
    if decoder.read(&mut buffer).map_err(broken)? > 0 {
        return Err(corrupted(packed, "it unpacks to more than the manifest says"));
    }
    Ok(Sha256(hash.finalize().into()))
}

/// The smallest hole: smaller ones save no block of usual file systems.
const HOLE: usize = 64 << 10;

fn corrupted(packed: &Path, problem: &str) -> Failure {
    Failure::new(Kind::Failed, format!("{} is corrupted: {problem}", packed.display())).hinted(MEND)
}

#[cfg(test)]
mod tests {
    use lab_model::Chunk;

    use super::*;

    const NAME: &str = "base-0000000000000000.raw";

    #[test]
    fn a_disk_is_unpacked_with_its_holes() {
        let (folder, disk) = packed(&content());
        let progress = Progress::silent();

        unpack(&folder.path().join("disk.raw.zst"), &disk, &folder.path().join(NAME), &progress).expect("unpacked");

        assert_eq!(fs::read(folder.path().join(NAME)).expect("read"), content());
        assert_eq!(names(folder.path()), [NAME, "disk.raw.zst"]);
    }

    #[test]
    fn what_is_not_the_image_leaves_nothing_behind() {
        let (folder, disk) = packed(&content());
        let longer = DiskImage { raw_size: disk.raw_size + 512, ..disk.clone() };
        let shorter = DiskImage { raw_size: disk.raw_size - 512, ..disk.clone() };
        let other = DiskImage { raw_sha256: Some(Sha256([0; 32])), ..disk };

        for disk in [longer, shorter, other] {
            let path = folder.path().join("disk.raw.zst");
            let failure = unpack(&path, &disk, &folder.path().join(NAME), &Progress::silent()).expect_err("corrupted");
            assert!(failure.to_string().contains("disk.raw.zst is corrupted"), "{failure}");
        }
        assert_eq!(names(folder.path()), ["disk.raw.zst"]);
    }

    fn content() -> Vec<u8> {
        let mut content = vec![0; 3 << 20];
        content[..512].fill(1);
        content[2 << 20..][..700].fill(2);
        content
    }

    fn packed(content: &[u8]) -> (tempfile::TempDir, DiskImage) {
        let folder = tempfile::tempdir().expect("a folder");
        let packed = zstd::encode_all(content, 1).expect("packed");
        let whole = Chunk { size: packed.len() as u32, sha256: Sha256([0; 32]), zero: false };
        fs::write(folder.path().join("disk.raw.zst"), &packed).expect("written");
        let disk = DiskImage {
            file: "disk.raw.zst".parse().expect("a name"),
            size: packed.len() as u64,
            sha256: Sha256([0; 32]),
            compression: Compression::Zstd,
            raw_size: content.len() as u64,
            raw_sha256: Some(Sha256(sha2::Sha256::digest(content).into())),
            chunk_size: content.len() as u32,
            chunks: vec![whole],
        };
        (folder, disk)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("read");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("read").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }
}
