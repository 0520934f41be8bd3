//! A disk image in pieces that can be fetched, verified and written each by itself, in any order and on any connection.
//!
//! The compressed file is a row of zstd frames, one for each chunk of the disk, so a plain `zstd -d` makes the whole disk of
//! it. The table says where each frame lies and what it hashes to. A chunk of zeros has its frame too, for the sake of that
//! plain `zstd -d`, but is marked: whoever has the table need not fetch it.

use serde::{Deserialize, Serialize};

use crate::Sha256;

/// One frame of the compressed file, as the table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Chunk {
    /// Length of the frame in bytes.
    pub size: u32,
    /// Of the frame as it lies in the file.
    pub sha256: Sha256,
    /// Whether the chunk is nothing but zeros.
    #[serde(default, skip_serializing_if = "is_false")]
    pub zero: bool,
}

/// A chunk and where it is: on the disk, and in the compressed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Where it begins on the disk, in bytes.
    pub at: u64,
    /// How much of the disk it covers, in bytes; the last chunk may be shorter than the others.
    pub length: u32,
    /// Where its frame begins in the compressed file.
    pub file_at: u64,
    /// Its entry in the table.
    pub chunk: Chunk,
}

/// Of the disk, in bytes: a chunk of this size can be held in memory a few times over on a machine that has little.
pub const CHUNK_SIZE_MAX: u32 = 16 << 20;

/// Every chunk is a multiple of this, so the first one has all that must be known of a disk before it is written.
pub const CHUNK_SIZE_UNIT: u32 = 1 << 20;

/// A table that does not describe the file it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChunks {
    /// Chunks that are no whole megabytes, or that no installer could hold.
    #[error("chunk-size is {0}: expected a multiple of 1048576, at most 16777216")]
    ChunkSize(u32),
    /// Too few or too many.
    #[error("there are {found} chunks: expected {expected} of chunk-size bytes for raw-size")]
    Count {
        /// How many a disk of this size has.
        expected: u64,
        /// How many the table has.
        found: u64,
    },
    /// A frame that is longer than any compressor would make it.
    #[error("chunk {at} has {size} bytes: expected 1 to {most}")]
    Size {
        /// Which, counted from zero.
        at: usize,
        /// Its length.
        size: u32,
        /// The longest one possible.
        most: u32,
    },
    /// Frames that do not fill the file.
    #[error("the chunks have {found} bytes together: expected the file's {expected}")]
    Sum {
        /// The file's length.
        expected: u64,
        /// The sum of the frames'.
        found: u64,
    },
}

/// Whether `chunks` of `chunk_size` bytes describe a compressed file of `size` bytes that holds a disk of `raw_size` bytes.
///
/// # Errors
/// They do not.
pub fn validate(chunks: &[Chunk], chunk_size: u32, size: u64, raw_size: u64) -> Result<(), InvalidChunks> {
    if chunk_size == 0 || !chunk_size.is_multiple_of(CHUNK_SIZE_UNIT) || chunk_size > CHUNK_SIZE_MAX {
        return Err(InvalidChunks::ChunkSize(chunk_size));
    }
    let (expected, found) = (raw_size.div_ceil(chunk_size.into()), chunks.len() as u64);
    if expected != found {
        return Err(InvalidChunks::Count { expected, found });
    }
    let most = frame_size_max(chunk_size);
    if let Some((at, chunk)) = chunks.iter().enumerate().find(|(_, chunk)| !(1..=most).contains(&chunk.size)) {
        return Err(InvalidChunks::Size { at, size: chunk.size, most });
    }
    match chunks.iter().map(|chunk| u64::from(chunk.size)).sum() {
        found if found == size => Ok(()),
        found => Err(InvalidChunks::Sum { expected: size, found }),
    }
}

/// Where each of `chunks` is, in the order of the disk.
pub fn placed(chunks: &[Chunk], chunk_size: u32, raw_size: u64) -> impl Iterator<Item = Placed> {
    let mut file_at = 0;
    chunks.iter().zip(0..).map(move |(chunk, index)| {
        let at = u64::from(chunk_size) * index;
        let length = raw_size.saturating_sub(at).min(chunk_size.into());
        let placed = Placed { at, length: length.try_into().unwrap_or(chunk_size), file_at, chunk: *chunk };
        file_at += u64::from(chunk.size);
        placed
    })
}

/// The longest frame that a chunk can become: zstd stores what it cannot compress, with a few bytes for each block of 128 KiB.
fn frame_size_max(chunk_size: u32) -> u32 {
    chunk_size + chunk_size / 256 + 512
}

fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_has_its_place_on_disk_and_in_the_file() {
        let chunks = [chunk(100), Chunk { zero: true, ..chunk(20) }, chunk(7)];

        let places: Vec<_> = placed(&chunks, MIB, 2 * DISK + 512).collect();

        assert_eq!(validate(&chunks, MIB, 127, 2 * DISK + 512), Ok(()));
        let [first, second, third] = chunks;
        assert_eq!(
            places,
            [
                Placed { at: 0, length: MIB, file_at: 0, chunk: first },
                Placed { at: DISK, length: MIB, file_at: 100, chunk: second },
                Placed { at: 2 * DISK, length: 512, file_at: 120, chunk: third },
            ]
        );
    }

    #[test]
    fn a_table_that_does_not_fit_its_file_is_refused() {
        let two = [chunk(5), chunk(6)];
        for size in [0, 4096, MIB + 4096, CHUNK_SIZE_MAX + MIB] {
            assert_eq!(validate(&two, size, 11, 2 * DISK), Err(InvalidChunks::ChunkSize(size)));
        }
        assert_eq!(validate(&two, MIB, 11, DISK), Err(InvalidChunks::Count { expected: 1, found: 2 }));
        assert_eq!(validate(&two, MIB, 11, 2 * DISK + 1), Err(InvalidChunks::Count { expected: 3, found: 2 }));
        assert_eq!(validate(&two, MIB, 12, 2 * DISK), Err(InvalidChunks::Sum { expected: 12, found: 11 }));
        for size in [0, 2 * MIB, u32::MAX] {
            let error = validate(&[chunk(5), chunk(size)], MIB, 11, 2 * DISK);
            assert_eq!(error, Err(InvalidChunks::Size { at: 1, size, most: MIB + 4096 + 512 }));
        }
    }

    const MIB: u32 = 1 << 20;

    /// A disk of one chunk.
    const DISK: u64 = 1 << 20;

    fn chunk(size: u32) -> Chunk {
        Chunk { size, sha256: Sha256([7; 32]), zero: false }
    }
}
