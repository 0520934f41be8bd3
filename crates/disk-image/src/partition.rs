//! The partitions of a disk: a GUID partition table (UEFI 2.10 §5.3), or the older table in the first sector.

use std::io;

use crate::read_at::{ReadAt, array, le32, le64};

/// Which partitions a disk has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// How they are written down.
    pub kind: TableKind,
    /// In the order of their numbers.
    pub partitions: Vec<Partition>,
}

/// How partitions are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// A GUID partition table.
    Gpt,
    /// A master boot record.
    Mbr,
}

/// One partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// As the system counts it, from 1.
    pub number: u32,
    /// Where it begins, in bytes.
    pub start: u64,
    /// How long it is, in bytes.
    pub size: u64,
}

/// The disk has no table that can be used.
#[derive(Debug, thiserror::Error)]
pub enum NoTable {
    /// It cannot be read.
    #[error("cannot read the partition table")]
    Read(#[from] io::Error),
    /// There is none.
    #[error("the disk has no partition table")]
    None,
    /// It has a GUID partition table that is none.
    #[error("the disk's GUID partition table is broken: {0}")]
    Broken(&'static str),
}

impl Table {
    /// Reads the table of `disk`.
    ///
    /// # Errors
    /// It has none, a broken one, or cannot be read.
    pub fn read(disk: &dyn ReadAt) -> Result<Self, NoTable> {
        if disk.size() < 2 * SECTOR {
            return Err(NoTable::None);
        }
        let first: [u8; SECTOR as usize] = array(disk, 0)?;
        let header: [u8; SECTOR as usize] = array(disk, SECTOR)?;
        if header.starts_with(b"EFI PART") {
            return Ok(Self { kind: TableKind::Gpt, partitions: gpt(disk, &header)? });
        }
        if first[510..] != [0x55, 0xaa] {
            return Err(NoTable::None);
        }
        let partitions = mbr(&first);
        if partitions.is_empty() {
            return Err(NoTable::None);
        }
        Ok(Self { kind: TableKind::Mbr, partitions })
    }
}

fn gpt(disk: &dyn ReadAt, header: &[u8]) -> Result<Vec<Partition>, NoTable> {
    let length = le32(header, 12) as usize;
    let mut hashed = header.get(..length).filter(|hashed| hashed.len() >= HEADER_MIN).map(<[u8]>::to_vec);
    let hashed = hashed.as_mut().ok_or(NoTable::Broken("its header's length makes no sense"))?;
    hashed[16..20].fill(0);
    if crc32fast::hash(hashed) != le32(header, 16) {
        return Err(NoTable::Broken("its header's checksum is wrong"));
    }
    let (at, count, size) = (le64(header, 72), le32(header, 80), le32(header, 84));
    if size < ENTRY_MIN || size > SECTOR as u32 || count > ENTRIES_MAX {
        return Err(NoTable::Broken("its entries make no sense"));
    }
    let mut entries = vec![0; count as usize * size as usize];
    disk.read_at(at.saturating_mul(SECTOR), &mut entries)?;
    if crc32fast::hash(&entries) != le32(header, 88) {
        return Err(NoTable::Broken("its entries' checksum is wrong"));
    }
    let used = entries.chunks_exact(size as usize).zip(1..).filter(|(entry, _)| entry[..16] != [0; 16]);
    used.map(|(entry, number)| {
        let (first, last) = (le64(entry, 32), le64(entry, 40));
        let sectors = last.checked_sub(first).and_then(|sectors| sectors.checked_add(1));
        let place = sectors.and_then(|sectors| Some((first.checked_mul(SECTOR)?, sectors.checked_mul(SECTOR)?)));
        let inside = place.filter(|(start, size)| start.checked_add(*size).is_some_and(|end| end <= disk.size()));
        let (start, size) =
            inside.ok_or(NoTable::Broken("a partition does not lie on the disk: is the file cut short?"))?;
        Ok(Partition { number, start, size })
    })
    .collect()
}

/// Logical partitions are left out: what boots lies in a primary one.
fn mbr(first: &[u8]) -> Vec<Partition> {
    let entries = first[446..510].chunks_exact(16).zip(1..);
    let used = entries.filter(|(entry, _)| entry[4] != 0 && le32(entry, 12) != 0);
    used.map(|(entry, number)| Partition {
        number,
        start: u64::from(le32(entry, 8)) * SECTOR,
        size: u64::from(le32(entry, 12)) * SECTOR,
    })
    .collect()
}

const SECTOR: u64 = 512;
/// UEFI 2.10 §5.3.2, table 5-5.
const HEADER_MIN: usize = 92;
/// UEFI 2.10 §5.3.3, table 5-6.
const ENTRY_MIN: u32 = 128;
/// Eight times what every tool makes.
const ENTRIES_MAX: u32 = 1024;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use gptman::{GPT, GPTPartitionEntry};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_a_table_as_another_program_writes_it() {
        let table = Table::read(&disk()).expect("a table");

        let partitions = vec![
            Partition { number: 1, start: 1100 * 512, size: 901 * 512 },
            Partition { number: 15, start: 64 * 512, size: 100 * 512 },
        ];
        assert_eq!(table, Table { kind: TableKind::Gpt, partitions });
    }

    #[test]
    fn reads_a_master_boot_record() {
        let mut disk = vec![0; 4096];
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        disk[446 + 4] = 0x83;
        disk[446 + 8] = 2;
        disk[446 + 12] = 6;

        let table = Table::read(&disk).expect("a table");

        let partitions = vec![Partition { number: 1, start: 1024, size: 3072 }];
        assert_eq!(table, Table { kind: TableKind::Mbr, partitions });
    }

    #[test]
    fn a_table_that_is_none_is_said_to_be_that() {
        let broken = |at: usize| {
            let mut disk = disk();
            disk[at] ^= 1;
            Table::read(&disk).expect_err("broken").to_string()
        };
        let mut short = disk();
        short.truncate(1 << 19);

        assert!(broken(512 + 40).ends_with("its header's checksum is wrong"));
        assert!(broken(1024 + 40).ends_with("its entries' checksum is wrong"));
        assert!(Table::read(&short).expect_err("short").to_string().ends_with("is the file cut short?"));
        assert!(matches!(Table::read(&vec![0; 4096]), Err(NoTable::None)));
        assert!(matches!(Table::read(&Vec::new()), Err(NoTable::None)));
    }

    proptest! {
        #[test]
        fn no_disk_makes_it_panic(changes in prop::collection::vec((0_usize..1600, any::<u8>()), 0..8), length in 0_usize..=1 << 20) {
            let mut disk = disk();
            for (at, byte) in changes {
                disk[at] = byte;
            }
            disk.truncate(length);

            let _ = Table::read(&disk);
        }
    }

    fn disk() -> Vec<u8> {
        let mut disk = Cursor::new(vec![0; 1 << 20]);
        let mut table = GPT::new_from(&mut disk, 512, [7; 16]).expect("room");
        for (number, first, last) in [(1, 1100, 2000), (15, 64, 163)] {
            table[number] = GPTPartitionEntry {
                partition_type_guid: [3; 16],
                unique_partition_guid: [number as u8; 16],
                starting_lba: first,
                ending_lba: last,
                attribute_bits: 0,
                partition_name: "p".into(),
            };
        }
        table.write_into(&mut disk).expect("written");
        GPT::write_protective_mbr_into(&mut disk, 512).expect("written");
        disk.into_inner()
    }
}
