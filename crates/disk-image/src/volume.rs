//! What a partition holds, by the numbers that each format has in its place.

use std::fmt;

use crate::read_at::{ReadAt, array};
use crate::{ext4, fat};

/// The format of a partition's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// ext2, ext3 or ext4.
    Ext4,
    /// FAT12, FAT16 or FAT32.
    Fat,
    /// XFS.
    Xfs,
    /// Btrfs.
    Btrfs,
    /// Squashfs.
    Squashfs,
    /// A physical volume of LVM.
    Lvm,
    /// An encrypted volume.
    Luks,
    /// A part of a ZFS pool has no number in a fixed place, and many others are never seen on such disks.
    Unknown,
}

impl Volume {
    /// What `volume` holds. What cannot be read is unknown.
    pub fn of(volume: &dyn ReadAt) -> Self {
        let has = |at: u64, magic: &[u8]| array::<8>(volume, at).is_ok_and(|found| found.starts_with(magic));
        // LVM's label may be in any of the first four sectors.
        let is_lvm = || (0..4).any(|sector| has(sector * 512, b"LABELONE"));
        match () {
            () if has(0, b"LUKS\xba\xbe") => Self::Luks,
            () if is_lvm() => Self::Lvm,
            () if has(0, b"XFSB") => Self::Xfs,
            () if has(0, b"hsqs") => Self::Squashfs,
            () if has(0x1_0040, b"_BHRfS_M") => Self::Btrfs,
            () if ext4::is(volume) => Self::Ext4,
            () if fat::is(volume) => Self::Fat,
            () => Self::Unknown,
        }
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ext4 => "ext4",
            Self::Fat => "FAT",
            Self::Xfs => "XFS",
            Self::Btrfs => "Btrfs",
            Self::Squashfs => "Squashfs",
            Self::Lvm => "LVM",
            Self::Luks => "LUKS",
            Self::Unknown => "something unknown",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_its_number() {
        let with = |at: usize, magic: &[u8]| {
            let mut volume = vec![0; 128 << 10];
            volume[at..at + magic.len()].copy_from_slice(magic);
            Volume::of(&volume)
        };

        assert_eq!(with(0, b"LUKS\xba\xbe\0\x02"), Volume::Luks);
        assert_eq!(with(512, b"LABELONE"), Volume::Lvm);
        assert_eq!(with(0, b"XFSB"), Volume::Xfs);
        assert_eq!(with(0, b"hsqs"), Volume::Squashfs);
        assert_eq!(with(0x1_0040, b"_BHRfS_M"), Volume::Btrfs);
        assert_eq!(with(0x438, b"\x53\xef"), Volume::Ext4);
        assert_eq!(with(0, b"nothing"), Volume::Unknown);
        assert_eq!(Volume::of(&vec![0; 3]), Volume::Unknown);
    }
}
