//! Fits an image's partition table to a real disk, and makes room for the seed.
//!
//! All of it is decided from the image's first megabyte, before the disk is touched: an image that does not fit, or is none,
//! is refused while the disk's old content is still there. The image's own last sectors, with its backup table, are never
//! written: on a disk of the image's size they would make a half-written disk bootable.

use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::ops::Range;

use gptman::{GPTHeader, GPTPartitionEntry};
use lab_model::MacAddr;
use sha2::Digest;

use crate::size::Size;

/// Where everything goes on a disk of a certain size.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// The disk's first [`HEAD`] bytes: the image's, with the protective MBR and primary table fitted. Written last.
    pub head: Vec<u8>,
    /// The backup table with its header, up to the disk's last sector.
    pub tail: Vec<u8>,
    /// Where `tail` starts, in bytes.
    pub tail_at: u64,
    /// Where the image's last partition ends, in bytes: nothing of the image is written from here on.
    pub image_end: u64,
    /// The seed's partition, in bytes; starts and ends on a megabyte.
    pub seed: Range<u64>,
}

/// What is known of an image and of the disk that it goes to.
#[derive(Clone, Copy, Debug)]
pub struct Fit<'a> {
    /// The image's first [`HEAD`] bytes.
    pub head: &'a [u8],
    /// The image's length in bytes, uncompressed.
    pub image_size: u64,
    /// The disk's length in bytes.
    pub disk_size: u64,
    /// The seed.
    pub seed: &'a [u8],
    /// The machine's hardware address.
    pub mac: MacAddr,
}

impl Layout {
    /// Fits an image to a disk: the backup table goes to the disk's end, and a partition named `cidata` just before it, so
    /// that the root partition can later grow up to there.
    ///
    /// # Errors
    /// The image is no GPT disk image of 512-byte sectors, or there is no room for it or the seed.
    pub fn plan(fit: Fit<'_>) -> Result<Self, Unsuitable> {
        if fit.disk_size < fit.image_size {
            return Err(Unsuitable::Small { disk: fit.disk_size, needed: fit.image_size });
        }
        if !fit.image_size.is_multiple_of(SECTOR) {
            return Err(Unsuitable::NoTable(format!("its length is no multiple of {SECTOR}")));
        }
        let (mut header, mut entries) = read_table(fit.head)?;
        let image_end = check_entries(&header, &entries, fit.image_size)?;
        let seed = place(&mut header, fit, image_end)?;

        let Some(free) = entries.iter_mut().find(|entry| entry.is_unused()) else {
            return Err(Unsuitable::Full);
        };
        *free = GPTPartitionEntry {
            partition_type_guid: LINUX_FILE_SYSTEM,
            unique_partition_guid: seed_guid(fit, &header.disk_guid),
            starting_lba: seed.start / SECTOR,
            ending_lba: seed.end / SECTOR - 1,
            attribute_bits: 0,
            partition_name: SEED.into(),
        };

        let mut head = fit.head.to_vec();
        protect(&mut head, fit.disk_size);
        let mut window = Window { base: 0, bytes: Cursor::new(&mut head) };
        header.write_into(&mut window, SECTOR, &entries)?;

        let mut backup = header.clone();
        backup.primary_lba = header.backup_lba;
        backup.backup_lba = header.primary_lba;
        backup.partition_entry_lba = header.last_usable_lba + 1;
        let tail_at = backup.partition_entry_lba * SECTOR;
        let mut tail = vec![0; ((backup.primary_lba + 1) * SECTOR - tail_at) as usize];
        let mut window = Window { base: tail_at, bytes: Cursor::new(&mut tail) };
        backup.write_into(&mut window, SECTOR, &entries)?;

        Ok(Self { head, tail, tail_at, image_end, seed })
    }
}

/// Reads the primary table (UEFI 2.10 §5.3) out of an image's first bytes.
pub(crate) fn read_table(head: &[u8]) -> Result<(GPTHeader, Vec<GPTPartitionEntry>), Unsuitable> {
    if head.len() < HEAD {
        return Err(Unsuitable::NoTable("it is shorter than a megabyte".to_owned()));
    }
    if head[SECTOR as usize..].get(..8) != Some(SIGNATURE) {
        return Err(match head.get(4096..4104) {
            Some(SIGNATURE) => Unsuitable::LargeSectors,
            _ => Unsuitable::NoTable("there is no `EFI PART` in its second sector".to_owned()),
        });
    }
    let mut reader = Cursor::new(head);
    reader.set_position(SECTOR);
    let header = GPTHeader::read_from(&mut reader)?;
    // Checked before gptman sees them: it allocates what the header says, and asserts entries of 128 bytes.
    let array = u64::from(header.number_of_partition_entries) * u64::from(header.size_of_partition_entry);
    let array_end = header.partition_entry_lba.checked_mul(SECTOR).and_then(|start| start.checked_add(array));
    let inside = header.partition_entry_lba >= 2 && array_end.is_some_and(|end| end <= HEAD as u64);
    if header.size_of_partition_entry != 128 || array == 0 || !inside || header.primary_lba != 1 {
        return Err(Unsuitable::NoTable("its partition entries are not in its first megabyte".to_owned()));
    }
    let entries = header.read_partitions(&mut reader, SECTOR)?;
    Ok((header, entries))
}

/// Checks that partitions are inside of the image and apart from each other, and finds their end in bytes.
fn check_entries(header: &GPTHeader, entries: &[GPTPartitionEntry], image_size: u64) -> Result<u64, Unsuitable> {
    let mut used: Vec<_> = entries.iter().filter(|entry| entry.is_used()).collect();
    used.sort_unstable_by_key(|entry| entry.starting_lba);
    if used.is_empty() {
        return Err(Unsuitable::NoTable("it has no partitions".to_owned()));
    }
    let mut free = header.first_usable_lba;
    for entry in used {
        if entry.starting_lba < free || entry.ending_lba < entry.starting_lba || entry.ending_lba >= image_size / SECTOR
        {
            return Err(Unsuitable::NoTable(format!(
                "its partition at sector {} overlaps another one or leaves the image",
                entry.starting_lba
            )));
        }
        free = entry.ending_lba + 1;
    }
    Ok((free * SECTOR).max(HEAD as u64))
}

/// Stretches the header to the disk's size, and finds the seed's place.
fn place(header: &mut GPTHeader, fit: Fit<'_>, image_end: u64) -> Result<Range<u64>, Unsuitable> {
    let array = (u64::from(header.number_of_partition_entries) * 128).div_ceil(SECTOR);
    let seed_size = (fit.seed.len() as u64).next_multiple_of(ALIGNMENT).max(ALIGNMENT);
    let needed = image_end.next_multiple_of(ALIGNMENT) + seed_size + (array + 1) * SECTOR;
    let disk = fit.disk_size - fit.disk_size % SECTOR;
    if disk < needed {
        return Err(Unsuitable::Small { disk: fit.disk_size, needed });
    }
    header.backup_lba = disk / SECTOR - 1;
    header.last_usable_lba = header.backup_lba - array - 1;
    let end = (header.last_usable_lba + 1) * SECTOR / ALIGNMENT * ALIGNMENT;
    Ok(end - seed_size..end)
}

/// Makes the protective MBR span the disk (UEFI 2.10 §5.2.3), and leaves boot code and foreign entries alone.
fn protect(head: &mut [u8], disk_size: u64) {
    let entries = MBR_ENTRIES.step_by(16);
    let kind = |at: usize| head[at + 4];
    let found =
        entries.clone().find(|at| kind(*at) == PROTECTIVE).or_else(|| entries.clone().find(|at| kind(*at) == 0));
    // Four foreign entries: a hybrid table whose maker knew what it was doing.
    let Some(at) = found else { return };
    let sectors = u32::try_from(disk_size / SECTOR - 1).unwrap_or(u32::MAX);
    head[at + 1..at + 4].copy_from_slice(&[0x00, 0x02, 0x00]);
    head[at + 4] = PROTECTIVE;
    head[at + 5..at + 8].copy_from_slice(&[0xff; 3]);
    head[at + 8..at + 12].copy_from_slice(&1_u32.to_le_bytes());
    head[at + 12..at + 16].copy_from_slice(&sectors.to_le_bytes());
    head[510..512].copy_from_slice(&[0x55, 0xaa]);
}

/// The seed partition's identity: differs with the seed, is the same when one is installed again, and ends with the machine's
/// hardware address, by which a disk is recognised as this machine's own.
fn seed_guid(fit: Fit<'_>, disk_guid: &[u8; 16]) -> [u8; 16] {
    let mut hash = sha2::Sha256::new();
    hash.update(disk_guid);
    hash.update(fit.seed);
    let digest: [u8; 32] = hash.finalize().into();
    let mut guid = [0; 16];
    guid.copy_from_slice(&digest[..16]);
    // RFC 9562 §5.8, version 8 in GPT's mixed byte order.
    guid[7] = guid[7] & 0x0f | 0x80;
    guid[8] = guid[8] & 0x3f | 0x80;
    guid[10..].copy_from_slice(&fit.mac.bytes());
    guid
}

/// Whether a partition is the seed of a system that was installed for the machine with this hardware address.
pub fn is_seed_of(entry: &GPTPartitionEntry, mac: MacAddr) -> bool {
    let guid = entry.unique_partition_guid;
    entry.partition_name.as_str() == SEED && guid[7] >> 4 == 8 && guid[10..] == mac.bytes()
}

/// A part of the disk in memory that is written by absolute position.
struct Window<'a> {
    base: u64,
    bytes: Cursor<&'a mut Vec<u8>>,
}

impl Write for Window<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(position) = to else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let inside = position.checked_sub(self.base).ok_or(io::ErrorKind::InvalidInput)?;
        self.bytes.set_position(inside);
        Ok(position)
    }
}

/// An image that cannot be put on this disk.
#[derive(Debug, thiserror::Error)]
pub enum Unsuitable {
    /// It is no disk image with a GUID partition table.
    #[error("the image has no usable GUID partition table: {0}; nothing was written")]
    NoTable(String),
    /// Its table counts in sectors of 4096 bytes.
    #[error("the image is made for sectors of 4096 bytes, only 512 are supported; nothing was written")]
    LargeSectors,
    /// The disk has no room for it and the seed.
    #[error("the disk is too small: it has {}, the image and its seed need {needed} bytes ({}); nothing was written", Size(*disk), Size(*needed))]
    Small {
        /// The disk's size in bytes.
        disk: u64,
        /// What is needed, in bytes.
        needed: u64,
    },
    /// There is no free entry for the seed's partition.
    #[error("the image's partition table has no free entry for the seed; nothing was written")]
    Full,
}

impl From<gptman::Error> for Unsuitable {
    fn from(error: gptman::Error) -> Self {
        Self::NoTable(error.to_string())
    }
}

/// How much of the disk is held back until everything else is on it.
pub const HEAD: usize = 1 << 20;

/// Bytes in a logical sector.
pub const SECTOR: u64 = 512;

/// Partitions start at multiples of this, as every tool of the last fifteen years makes them.
const ALIGNMENT: u64 = 1 << 20;

const SIGNATURE: &[u8] = b"EFI PART";

/// The seed partition's name; cloud-init looks for a file system of this name.
const SEED: &str = "cidata";

/// UEFI 2.10 §5.2.1: four entries of 16 bytes.
const MBR_ENTRIES: Range<usize> = 446..510;

/// UEFI 2.10 §5.2.3: the type of the entry that protects a GPT disk.
const PROTECTIVE: u8 = 0xee;

/// `0FC63DAF-8483-4772-8E79-3D69D8477DE4`, a Linux file system; in the order of bytes on the disk.
const LINUX_FILE_SYSTEM: [u8; 16] =
    [0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_is_the_last_partition_and_everything_has_room() {
        let head = head(|_| ());

        let layout = plan(&head, 100 * MIB + 3 * SECTOR).expect("there is room");

        assert_eq!((layout.image_end, layout.seed.clone()), (7 * MIB, 98 * MIB..99 * MIB));
        assert_eq!(layout.tail_at + layout.tail.len() as u64, 100 * MIB + 3 * SECTOR);
        assert!(layout.seed.end <= layout.tail_at);
    }

    #[test]
    fn a_hybrid_mbr_keeps_its_other_entries_and_its_boot_code() {
        let mut head = head(|_| ());
        head[..440].fill(0x90);
        head[446 + 16 + 4] = 0x0c;
        let before = head.clone();

        let layout = plan(&head, 100 * MIB).expect("there is room");

        assert_eq!(layout.head[..446], before[..446]);
        assert_eq!(layout.head[462..512], before[462..512]);
        assert_eq!(layout.head[458..462], (100 * 2048 - 1_u32).to_le_bytes());
    }

    #[test]
    fn a_disk_beyond_two_tebibytes_is_protected_as_far_as_an_mbr_can_count() {
        let layout = plan(&head(|_| ()), 3 << 40).expect("there is room");

        assert_eq!(layout.head[458..462], [0xff; 4]);
    }

    #[test]
    fn no_number_in_a_header_is_trusted() {
        // Every field behind the checksum, with a checksum that is right for it.
        for (at, length) in [(24, 8), (32, 8), (40, 8), (48, 8), (72, 8), (80, 4), (84, 4)] {
            for value in [0, 1, 2, 127, 2048, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
                let head = head(|header| header[at..at + length].copy_from_slice(&value.to_le_bytes()[..length]));

                if let Ok(layout) = plan(&head, 100 * MIB) {
                    assert!(layout.image_end <= layout.seed.start, "field {at}, value {value:#x}");
                }
            }
        }
    }

    #[test]
    fn a_partition_outside_of_the_image_or_over_another_one_is_refused() {
        for (start, end) in [(14336, 40960), (3000, 2999), (2048, 4095), (0, 33), (1, u64::MAX)] {
            let mut entry = partition(2);
            (entry.starting_lba, entry.ending_lba) = (start, end);

            let refused = plan(&head_with(&[partition(1), entry], |_| ()), 100 * MIB);

            assert!(matches!(refused, Err(Unsuitable::NoTable(_))), "{start}..={end}");
        }
    }

    #[test]
    fn a_full_table_is_refused() {
        let entries: Vec<_> = (1..=128).map(partition).collect();

        assert!(matches!(plan(&head_with(&entries, |_| ()), 100 * MIB), Err(Unsuitable::Full)));
    }

    const MIB: u64 = 1 << 20;

    fn plan(head: &[u8], disk_size: u64) -> Result<Layout, Unsuitable> {
        Layout::plan(Fit { head, image_size: 8 * MIB, disk_size, seed: b"seed", mac: MacAddr::new([2; 6]) })
    }

    /// The first megabyte of an image of 8 MiB with a partition that ends at 7 MiB; `change` gets the header's bytes.
    fn head(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let mut last = partition(1);
        last.ending_lba = 7 * 2048 - 1;
        head_with(&[last], change)
    }

    fn head_with(entries: &[GPTPartitionEntry], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let mut disk = Cursor::new(vec![0; 8 * MIB as usize]);
        let mut header = GPTHeader::new_from(&mut disk, SECTOR, [7; 16]).expect("room for a table");
        let free = (entries.len()..128).map(|_| GPTPartitionEntry::empty());
        let entries: Vec<_> = entries.iter().cloned().chain(free).collect();
        header.write_into(&mut disk, SECTOR, &entries).expect("room for a table");
        let mut disk = disk.into_inner();
        disk.truncate(HEAD);
        protect(&mut disk, 8 * MIB);
        let header = &mut disk[512..604];
        change(header);
        header[16..20].fill(0);
        // UEFI 2.10 §5.3.2: CRC-32 with the field itself zero.
        let checksum = crc32fast::hash(header);
        header[16..20].copy_from_slice(&checksum.to_le_bytes());
        disk
    }

    /// Sixteen sectors from the second megabyte on.
    fn partition(number: u8) -> GPTPartitionEntry {
        let start = 2048 + u64::from(number) * 16;
        GPTPartitionEntry {
            partition_type_guid: [1; 16],
            unique_partition_guid: [number; 16],
            starting_lba: start,
            ending_lba: start + 15,
            attribute_bits: 0,
            partition_name: "part".into(),
        }
    }
}
