//! What of an unfinished installation is on the disk already, kept on the disk itself.
//!
//! The record lies in the disk's last megabyte, which is empty until the installation is finished: neither the image nor the
//! seed reaches there before. It has two slots that are written in turn, each with a digest: a power failure in the middle of
//! one leaves the other. A disk with a record has neither a partition table nor boot code, and nobody's data.

use std::ops::Range;

use anyhow::Result;
use lab_model::Sha256;
use sha2::Digest;

use crate::{Block, Device};

/// Which chunks of which image are on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What tells the image from any other: [`crate::Table`]'s digest.
    pub image: Sha256,
    /// The chunks.
    pub done: Done,
}

/// A set of chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    count: usize,
    bits: Vec<u8>,
}

/// The place of the records on one disk, and whose turn it is.
#[derive(Debug)]
pub struct Recorder {
    area: Range<u64>,
    turn: u64,
}

/// What is at the end of a disk.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// No record has ever been there.
    Nothing,
    /// There was one, but none can be read any more.
    Torn,
    /// The latest one.
    Record(Record),
}

impl Done {
    /// None of `count` chunks.
    pub fn none(count: usize) -> Self {
        Self { count, bits: vec![0; count.div_ceil(8)] }
    }

    /// Whether this chunk is one of them.
    pub fn contains(&self, chunk: usize) -> bool {
        self.bits.get(chunk / 8).is_some_and(|bits| bits & 1 << (chunk % 8) != 0)
    }

    /// Adds a chunk.
    pub fn insert(&mut self, chunk: usize) {
        assert!(chunk < self.count, "only a chunk of the image can be done");
        self.bits[chunk / 8] |= 1 << (chunk % 8);
    }
}

impl Recorder {
    /// For a disk of `disk_size` bytes.
    pub fn new(disk_size: u64) -> Self {
        Self { area: area(disk_size), turn: 0 }
    }

    /// Writes a record. What it says must be on the medium before: flush first.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn write(&mut self, device: &mut Device, record: &Record) -> Result<()> {
        self.turn += 1;
        let bytes = record.encode(self.turn);
        if bytes.len() as u64 > SLOT {
            // An image of some terabytes starts again from nothing.
            return Ok(());
        }
        let mut block = Block::zeroed(bytes.len().next_multiple_of(4096));
        block[..bytes.len()].copy_from_slice(&bytes);
        device.write(&block, self.area.start + self.turn % 2 * SLOT)
    }
}

/// Removes all records.
///
/// # Errors
/// The disk does not take it.
pub fn erase(device: &mut Device) -> Result<()> {
    device.zero(area(device.size()))
}

impl Record {
    /// Finds the latest record in a disk's last [`AREA`] bytes.
    pub fn find(end: &[u8]) -> Found {
        let slots = || end.chunks(SLOT as usize).filter(|slot| slot.starts_with(MAGIC));
        match slots().filter_map(Self::decode).max_by_key(|(turn, _)| *turn) {
            Some((_, record)) => Found::Record(record),
            None if slots().next().is_some() => Found::Torn,
            None => Found::Nothing,
        }
    }

    /// Magic, turn, image, number of chunks, one bit for each, and the SHA-256 of all that; numbers are little-endian.
    fn encode(&self, turn: u64) -> Vec<u8> {
        let Self { image, done } = self;
        let count = (done.count as u64).to_le_bytes();
        let mut bytes = [MAGIC, &turn.to_le_bytes(), &image.0, &count, &done.bits].concat();
        let digest = sha2::Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        bytes
    }

    fn decode(slot: &[u8]) -> Option<(u64, Self)> {
        let (turn, rest) = slot.strip_prefix(MAGIC)?.split_first_chunk()?;
        let (image, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok().filter(|count| *count <= rest.len() * 8)?;
        let (bits, rest) = rest.split_at_checked(count.div_ceil(8))?;
        let end = slot.len() - rest.len();
        let digest: [u8; 32] = sha2::Sha256::digest(&slot[..end]).into();
        let done = Done { count, bits: bits.to_vec() };
        rest.starts_with(&digest).then(|| (u64::from_le_bytes(*turn), Self { image: Sha256(*image), done }))
    }
}

/// Where the records are on a disk of this size.
pub fn area(disk_size: u64) -> Range<u64> {
    let end = disk_size - disk_size % 512;
    end.saturating_sub(AREA)..end
}

/// How much of the disk's end is for records.
pub const AREA: u64 = 2 * SLOT;

const SLOT: u64 = 512 << 10;

const MAGIC: &[u8] = b"pvmlab unfinished installation 1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_whole_record_counts() {
        let (older, newer) = (record(1), record(2));
        let mut end = vec![0; AREA as usize];
        assert_eq!(Record::find(&end), Found::Nothing);

        put(&mut end, 0, &older.encode(7));
        put(&mut end, 1, &newer.encode(8));
        assert_eq!(Record::find(&end), Found::Record(newer));

        end[SLOT as usize + 60] ^= 1;
        assert_eq!(Record::find(&end), Found::Record(older));

        end[60] ^= 1;
        assert_eq!(Record::find(&end), Found::Torn);
    }

    #[test]
    fn no_number_in_a_record_is_trusted() {
        for count in [0, 8, 21, 1 << 40, u64::MAX] {
            let mut slot = record(1).encode(1);
            slot[MAGIC.len() + 40..MAGIC.len() + 48].copy_from_slice(&count.to_le_bytes());

            assert_eq!(Record::find(&slot), Found::Torn, "{count}");
        }
        assert_eq!(Record::find(MAGIC), Found::Torn);
    }

    #[test]
    fn what_is_done_stays_done() {
        let mut done = Done::none(20);
        [0, 7, 8, 19].into_iter().for_each(|chunk| done.insert(chunk));

        let found: Vec<_> = (0..40).filter(|chunk| done.contains(*chunk)).collect();

        assert_eq!(found, [0, 7, 8, 19]);
    }

    fn record(chunk: usize) -> Record {
        let mut done = Done::none(20);
        done.insert(chunk);
        Record { image: Sha256([9; 32]), done }
    }

    fn put(end: &mut [u8], slot: usize, bytes: &[u8]) {
        let at = slot * SLOT as usize;
        end[at..at + bytes.len()].copy_from_slice(bytes);
    }
}
