//! Who is on the disk already.
//!
//! A disk is taken where nobody is on it, or what this installer put there for the same machine. Anything else may be
//! somebody's only copy, so it stays until the definition says `wipe = true`. Every partition table, file system, volume
//! group and array has its mark in the first or the last megabyte: a disk where both are zeros is nobody's.

use anyhow::Result;
use gptman::GPTPartitionEntry;
use lab_model::MacAddr;

use crate::partition::{HEAD, SECTOR, is_seed_of, read_table};
use crate::record::{Found, Record, area};
use crate::{Block, Device};

/// What a disk carries before it is written.
#[derive(Debug, PartialEq, Eq)]
pub enum Occupant {
    /// Nothing at its ends.
    Nobody,
    /// An installation that was not finished, as far as that is known.
    Unfinished(Option<Record>),
    /// A system that was installed for this machine.
    Own,
    /// Anything else, in words.
    Stranger(String),
}

/// Looks at both ends of a disk.
///
/// # Errors
/// The disk cannot be read.
pub fn look(device: &Device, mac: MacAddr) -> Result<Occupant> {
    let mut head = Block::zeroed((device.size() - device.size() % SECTOR).min(HEAD as u64) as usize);
    device.read(&mut head, 0)?;
    let end = area(device.size());
    let mut tail = Block::zeroed((end.end - end.start) as usize);
    device.read(&mut tail, end.start)?;
    Ok(recognise(&head, &tail, mac))
}

fn recognise(head: &[u8], tail: &[u8], mac: MacAddr) -> Occupant {
    if is_zero(head) {
        return match Record::find(tail) {
            Found::Record(record) => Occupant::Unfinished(Some(record)),
            Found::Torn => Occupant::Unfinished(None),
            Found::Nothing if is_zero(tail) => Occupant::Nobody,
            Found::Nothing => Occupant::Stranger("data at its end".to_owned()),
        };
    }
    let Ok((_, entries)) = read_table(head) else { return Occupant::Stranger(mark(head).to_owned()) };
    let used: Vec<_> = entries.iter().filter(|entry| entry.is_used()).collect();
    if used.iter().any(|entry| is_seed_of(entry, mac)) {
        return Occupant::Own;
    }
    let names: Vec<_> = used.iter().map(|entry| name(entry)).filter(|name| !name.is_empty()).take(NAMES).collect();
    let names = if names.is_empty() { String::new() } else { format!(", such as {}", names.join(", ")) };
    Occupant::Stranger(format!("a GUID partition table with {} partitions{names}", used.len()))
}

/// What the first megabyte says of itself, where it has no GUID partition table; the likeliest things only.
fn mark(head: &[u8]) -> &'static str {
    let has = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    let marks: [(usize, &[u8], &str); 7] = [
        (0, b"LUKS\xba\xbe", "an encrypted volume (LUKS)"),
        (0, b"XFSB", "an XFS file system"),
        (512, b"LABELONE", "a physical volume of LVM"),
        (1080, b"\x53\xef", "an ext2, ext3 or ext4 file system"),
        (4096, b"\xfc\x4e\x2b\xa9", "a member of a RAID array"),
        (65600, b"_BHRfS_M", "a Btrfs file system"),
        (510, b"\x55\xaa", "a master boot record with a system or partitions"),
    ];
    marks.iter().find(|(at, magic, _)| has(*at, magic)).map_or("data in its first megabyte", |(_, _, words)| words)
}

/// A partition's name, as far as it can be shown on any console.
fn name(entry: &GPTPartitionEntry) -> String {
    entry.partition_name.as_str().chars().filter(|letter| letter.is_ascii_graphic() || *letter == ' ').collect()
}

/// Whether all bytes are zero; by words, because whole disks come through here.
pub fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<64>();
    words.iter().all(|word| word.iter().fold(0, |all, byte| all | byte) == 0) && rest.iter().all(|byte| *byte == 0)
}

/// As many partitions are named; all are counted.
const NAMES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_data_has_its_name() {
        for (at, magic, words) in [
            (0, &b"LUKS\xba\xbe"[..], "an encrypted volume (LUKS)"),
            (1080, b"\x53\xef", "an ext2, ext3 or ext4 file system"),
            (512, b"LABELONE", "a physical volume of LVM"),
            (510, b"\x55\xaa", "a master boot record with a system or partitions"),
            (HEAD - 1, b"x", "data in its first megabyte"),
        ] {
            let mut head = vec![0; HEAD];
            head[at..at + magic.len()].copy_from_slice(magic);

            let found = recognise(&head, &[0; 1024], MacAddr::new([2; 6]));

            assert_eq!(found, Occupant::Stranger(words.to_owned()));
        }
    }

    #[test]
    fn zeros_at_both_ends_are_nobodys_and_a_mark_at_the_end_is_somebodys() {
        let (head, mut tail) = (vec![0; HEAD], vec![0; 1 << 20]);
        assert_eq!(recognise(&head, &tail, MacAddr::new([2; 6])), Occupant::Nobody);

        tail[1000] = 1;

        let found = recognise(&head, &tail, MacAddr::new([2; 6]));
        assert_eq!(found, Occupant::Stranger("data at its end".to_owned()));
    }

    #[test]
    fn one_bit_is_no_zero() {
        let mut bytes = vec![0; 1000];
        assert!(is_zero(&bytes));

        for at in [0, 63, 64, 500, 999] {
            bytes[at] = 0x80;
            assert!(!is_zero(&bytes), "byte {at}");
            bytes[at] = 0;
        }
    }
}
