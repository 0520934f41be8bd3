//! Compressing the disk and saying of each file how long it is and what it hashes to.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::Path,
};

use anyhow::{Context, Result};
use lab_model::{Compression, DiskImage, FileName, ImageFile, Sha256};
use sha2::Digest;

use crate::progress::Step;

/// RFC 8878 §3.1.1.1.2: 2^23 bytes. The installer keeps a window in memory, and a target may have little.
const WINDOW_LOG: u32 = 23;

/// Compresses the file `disk` into `folder` under `name`.
///
/// The frame states its content's size and ends with a checksum. The output does not depend on the number of processors.
pub(super) fn compress(disk: &Path, folder: &Path, name: &str, level: i32) -> Result<DiskImage> {
    let mut step = Step::start("compressing the disk");
    let mut raw = Hashing::new(File::open(disk).with_context(|| format!("cannot open {}", disk.display()))?);
    let raw_size = raw.inner.metadata()?.len();
    let path = folder.join(name);
    let packed = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut encoder = zstd::Encoder::new(BufWriter::with_capacity(CHUNK, Hashing::new(packed)), level)?;
    encoder.window_log(WINDOW_LOG)?;
    encoder.include_checksum(true)?;
    encoder.include_contentsize(true)?;
    encoder.set_pledged_src_size(Some(raw_size))?;
    encoder.multithread(std::thread::available_parallelism().map_or(1, |count| count.get() as u32))?;

    let mut buffer = vec![0; CHUNK];
    while let length @ 1.. = raw.read(&mut buffer)? {
        encoder.write_all(&buffer[..length])?;
        step.note(&format!("{} of {} MiB", raw.length >> 20, raw_size >> 20));
    }
    let packed = encoder.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    packed.inner.sync_all()?;
    step.finish();
    Ok(DiskImage {
        file: file_name(name)?,
        size: packed.length,
        sha256: packed.digest(),
        compression: Compression::Zstd,
        raw_size,
        raw_sha256: Some(raw.digest()),
    })
}

/// Describes the file `name` of `folder`.
pub(super) fn describe(folder: &Path, name: &str) -> Result<ImageFile> {
    let path = folder.join(name);
    let mut file = Hashing::new(File::open(&path).with_context(|| format!("cannot open {}", path.display()))?);
    let mut buffer = vec![0; CHUNK];
    while file.read(&mut buffer)? > 0 {}
    Ok(ImageFile { file: file_name(name)?, size: file.length, sha256: file.digest() })
}

const CHUNK: usize = 1 << 20;

fn file_name(name: &str) -> Result<FileName> {
    Ok(name.parse()?)
}

/// A reader or writer that hashes what goes through it.
struct Hashing<F> {
    inner: F,
    hash: sha2::Sha256,
    length: u64,
}

impl<F> Hashing<F> {
    fn new(inner: F) -> Self {
        Self { inner, hash: sha2::Sha256::new(), length: 0 }
    }

    fn digest(self) -> Sha256 {
        Sha256(self.hash.finalize().into())
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
    }
}

impl<F: Read> Read for Hashing<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.passed(&buffer[..length]);
        Ok(length)
    }
}

impl<F: Write> Write for Hashing<F> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(buffer)?;
        self.passed(&buffer[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_compressed_disk_is_what_its_description_says() {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk.raw");
        let content: Vec<u8> = (0..3_000_000_u32).map(|at| if at % 5 < 3 { 0 } else { (at >> 7) as u8 }).collect();
        fs::write(&disk, &content).unwrap();

        let image = compress(&disk, folder.path(), "disk.raw.zst", 3).unwrap();

        let packed = fs::read(folder.path().join("disk.raw.zst")).unwrap();
        assert_eq!(zstd::decode_all(&packed[..]).unwrap(), content);
        let frame = &packed[..18];
        assert_eq!(frame[4] & 0b100, 0b100, "the frame header announces a checksum");
        assert_eq!(zstd::zstd_safe::get_frame_content_size(frame).ok().flatten(), Some(3_000_000));
        assert_eq!((image.size, image.raw_size), (packed.len() as u64, 3_000_000));
        assert_eq!(image.sha256, sha256(&packed));
        assert_eq!(image.raw_sha256, Some(sha256(&content)));
    }

    #[test]
    fn a_file_is_described_by_length_and_hash() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("vmlinuz"), "kernel").unwrap();

        let file = describe(folder.path(), "vmlinuz").unwrap();

        assert_eq!((file.file.as_str(), file.size, file.sha256), ("vmlinuz", 6, sha256(b"kernel")));
    }

    fn sha256(bytes: &[u8]) -> Sha256 {
        Sha256(sha2::Sha256::digest(bytes).into())
    }
}
