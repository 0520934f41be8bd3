//! A disk as a row of zstd frames, one for each chunk, by as many threads as there are processors.
//!
//! Each thread has every n-th chunk, so the frames come in order and nothing waits in memory but two chunks of each thread.
//! The output is the same with any number of threads.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::Context as _;
use disk_image::ReadAt;
use lab_model::{Chunk, Compression, DiskImage, FileName, Sha256};
use sha2::Digest as _;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::source::FETCH;
use crate::error::{Failure, Result};
use crate::progress::Progress;

/// Compresses `disk` into `file`, which is called `name`.
///
/// # Errors
/// The disk cannot be read; the file cannot be written, or `progress` was interrupted.
pub(super) fn pack(disk: &dyn ReadAt, file: &mut File, name: FileName, progress: &Progress<'_>) -> Result<DiskImage> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    pack_by(threads, disk, file, name, progress)
}

/// The disk cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the image's disk at byte {at}")]
struct Unreadable {
    at: u64,
    source: io::Error,
}

fn pack_by(
    threads: usize,
    disk: &dyn ReadAt,
    file: &mut File,
    name: FileName,
    progress: &Progress<'_>,
) -> Result<DiskImage> {
    // What is written to a machine's disk are whole sectors.
    let raw_size = disk.size().next_multiple_of(512);
    let (mut chunks, mut hash, mut size) = (Vec::new(), sha2::Sha256::new(), 0);
    let raw_sha256 = thread::scope(|scope| -> Result<Sha256> {
        let (contents, of_disk) = sync_channel(1);
        let hashing = scope.spawn(move || hash_disk(&of_disk));
        let workers: Vec<_> = (0..threads)
            .map(|first| {
                let (done, pieces) = sync_channel(1);
                scope.spawn(move || work(disk, Share { first, threads, raw_size }, &done));
                pieces
            })
            .collect();
        for pieces in workers.iter().cycle().take(raw_size.div_ceil(CHUNK) as usize) {
            let Piece { frame, chunk, content } =
                pieces.recv().context("a thread that compresses ended")?.map_err(damaged)?;
            file.write_all(&frame).context("cannot write the compressed disk")?;
            hash.update(&frame);
            size += frame.len() as u64;
            chunks.push(chunk);
            progress.advance(content.length())?;
            contents.send(content).context("the thread that hashes ended")?;
        }
        drop(contents);
        Ok(hashing.join().map_err(|_| anyhow::anyhow!("the thread that hashes ended"))?)
    })?;
    Ok(DiskImage {
        file: name,
        size,
        sha256: Sha256(hash.finalize().into()),
        compression: Compression::Zstd,
        raw_size,
        raw_sha256: Some(raw_sha256),
        chunk_size: CHUNK as u32,
        chunks,
    })
}

fn damaged(error: anyhow::Error) -> Failure {
    let is_damaged = error.is::<Unreadable>();
    let failure = Failure::from(error);
    if is_damaged { failure.hinted(FETCH) } else { failure }
}

/// Which chunks a thread has.
#[derive(Clone, Copy)]
struct Share {
    first: usize,
    threads: usize,
    raw_size: u64,
}

/// A chunk, compressed.
struct Piece {
    frame: Vec<u8>,
    chunk: Chunk,
    content: Content,
}

/// What a chunk of the disk holds.
enum Content {
    Zeros(usize),
    Bytes(Vec<u8>),
}

impl Content {
    fn length(&self) -> usize {
        match self {
            Self::Zeros(length) => *length,
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

/// Ends when nobody takes its pieces any more.
fn work(disk: &dyn ReadAt, share: Share, done: &SyncSender<anyhow::Result<Piece>>) {
    let mut compressor = match compressor() {
        Ok(compressor) => compressor,
        Err(error) => return drop(done.send(Err(anyhow::Error::from(error).context("cannot start zstd")))),
    };
    let mut zeros = None;
    for at in (0..share.raw_size).step_by(CHUNK as usize).skip(share.first).step_by(share.threads) {
        let length = CHUNK.min(share.raw_size - at) as usize;
        let piece = read(disk, at, length).map_err(anyhow::Error::from).and_then(|content| {
            let frame = match &content {
                Content::Bytes(bytes) => compressor.compress(bytes)?,
                Content::Zeros(length) if *length as u64 == CHUNK => match &zeros {
                    Some(frame) => Vec::clone(frame),
                    None => zeros.insert(compressor.compress(&vec![0; *length])?).clone(),
                },
                Content::Zeros(length) => compressor.compress(&vec![0; *length])?,
            };
            let sha256 = Sha256(sha2::Sha256::digest(&frame).into());
            let zero = matches!(content, Content::Zeros(_));
            Ok(Piece { chunk: Chunk { size: frame.len().try_into()?, sha256, zero }, frame, content })
        });
        if done.send(piece).is_err() {
            return;
        }
    }
}

/// A hole is not read. What is beyond the disk's end in its last sector is zero.
fn read(disk: &dyn ReadAt, at: u64, length: usize) -> Result<Content, Unreadable> {
    let unreadable = |source| Unreadable { at, source };
    let there = (disk.size() - at).min(length as u64) as usize;
    if disk.is_hole(at, there as u64).map_err(unreadable)? {
        return Ok(Content::Zeros(length));
    }
    let mut bytes = vec![0; length];
    disk.read_at(at, &mut bytes[..there]).map_err(unreadable)?;
    Ok(if bytes.iter().all(|byte| *byte == 0) { Content::Zeros(length) } else { Content::Bytes(bytes) })
}

fn hash_disk(contents: &Receiver<Content>) -> Sha256 {
    let (mut hash, zeros) = (sha2::Sha256::new(), vec![0; CHUNK as usize]);
    for content in contents {
        match &content {
            Content::Zeros(length) => hash.update(&zeros[..*length]),
            Content::Bytes(bytes) => hash.update(bytes),
        }
    }
    Sha256(hash.finalize().into())
}

/// Every frame states its content's size and ends with a checksum; its window is never longer than its chunk.
fn compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
    Ok(compressor)
}

/// Of the disk, in bytes.
const CHUNK: u64 = 4 << 20;
/// Of a Debian disk with 460 MiB of data, as one frame: 148 MB at level 3, 139 at 6, 130 at 9, 129 at 12, which takes twice the time of 9.
/// All of them are decompressed in the same time.
const LEVEL: i32 = 9;
/// Each holds two chunks of the disk and their frames.
const THREADS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_are_the_disk_whatever_the_number_of_threads() {
        let disk = disk();
        let (one, packed) = packed(1, &disk);

        assert_eq!(packed_size(&one), packed.len() as u64);
        let mut whole = disk.clone();
        whole.resize(disk.len().next_multiple_of(512), 0);
        assert!(zstd::decode_all(&packed[..]).expect("zstd reads it") == whole);
        assert_eq!((one.sha256, one.raw_sha256), (digest(&packed), Some(digest(&whole))));
        for threads in [2, 3, 8] {
            assert!(super::tests::packed(threads, &disk) == (one.clone(), packed.clone()), "{threads} threads");
        }
    }

    #[test]
    fn each_frame_is_one_chunk_with_its_size_and_checksum() {
        let (image, packed) = packed(2, &disk());

        lab_model::validate_chunks(&image.chunks, image.chunk_size, image.size, image.raw_size).expect("a table");
        let placed: Vec<_> = lab_model::placed_chunks(&image.chunks, image.chunk_size, image.raw_size).collect();
        let zeros: Vec<_> = placed.iter().map(|placed| placed.chunk.zero).collect();
        assert_eq!(zeros, [false, true, false, true]);
        for placed in placed {
            let frame = &packed[placed.file_at as usize..][..placed.chunk.size as usize];
            assert_eq!(digest(frame), placed.chunk.sha256);
            assert_eq!(zstd::zstd_safe::get_frame_content_size(frame).ok().flatten(), Some(placed.length.into()));
            // RFC 8878 §3.1.1.1.1: the checksum's flag, and that of a frame whose window is its content.
            assert_eq!(frame[4] & 0b0010_0100, 0b0010_0100);
            assert_eq!(zstd::decode_all(frame).expect("a frame by itself").len(), placed.length as usize);
        }
    }

    #[test]
    fn a_disk_that_cannot_be_read_is_no_image() {
        struct Broken;
        impl ReadAt for Broken {
            fn size(&self) -> u64 {
                CHUNK * 40
            }
            fn read_at(&self, at: u64, _: &mut [u8]) -> io::Result<()> {
                if at == CHUNK * 20 { Err(io::Error::other("gone")) } else { Ok(()) }
            }
        }
        let mut file = tempfile::tempfile().expect("a file");

        let failure = pack_by(3, &Broken, &mut file, name(), &Progress::silent()).expect_err("it cannot be read");

        assert_eq!(failure.to_string(), "cannot read the image's disk at byte 83886080: gone");
    }

    /// Three chunks and 700 bytes: data, zeros, data, zeros.
    fn disk() -> Vec<u8> {
        let mut disk: Vec<u8> = (0..3 * CHUNK as u32 + 700).map(|at| (at / 5) as u8).collect();
        disk[CHUNK as usize..2 * CHUNK as usize].fill(0);
        disk[3 * CHUNK as usize..].fill(0);
        disk
    }

    fn packed(threads: usize, disk: &Vec<u8>) -> (DiskImage, Vec<u8>) {
        let path = tempfile::NamedTempFile::new().expect("a file");
        let mut file = path.reopen().expect("the same file");
        let image = pack_by(threads, disk, &mut file, name(), &Progress::silent()).expect("packed");
        (image, std::fs::read(path.path()).expect("read"))
    }

    fn packed_size(image: &DiskImage) -> u64 {
        image.chunks.iter().map(|chunk| u64::from(chunk.size)).sum()
    }

    fn name() -> FileName {
        "disk.raw.zst".parse().expect("a name")
    }

    fn digest(bytes: &[u8]) -> Sha256 {
        Sha256(sha2::Sha256::digest(bytes).into())
    }
}
