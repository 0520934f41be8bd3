//! What a qcow2 file says of itself.

use std::io;

use crate::read_at::{ReadAt, array, be32, be64};

/// The part of a header that reading needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) cluster_bits: u32,
    /// Of the disk, in bytes.
    pub(super) size: u64,
    /// How many second-level tables there are, and where the list of them is.
    pub(super) tables: usize,
    pub(super) tables_at: u64,
    /// Whether clusters have subclusters.
    pub(super) extended: bool,
    pub(super) compression: Compression,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// RFC 1951, without a header.
    Deflate,
    /// RFC 8878.
    Zstd,
}

/// A file that is no qcow2 image, or none that can be read by itself.
#[derive(Debug, thiserror::Error)]
pub enum NotQcow2 {
    /// It cannot be read.
    #[error("cannot read the qcow2 image's header")]
    Read(#[from] io::Error),
    /// It ends before its own tables do.
    #[error("the qcow2 image is cut short")]
    Short,
    /// Part of what it holds is elsewhere.
    #[error("the qcow2 image is laid over another file")]
    Backed,
    /// It needs a password.
    #[error("the qcow2 image is encrypted")]
    Encrypted,
    /// QEMU found that it is damaged.
    #[error("the qcow2 image is marked as corrupt")]
    Corrupt,
    /// Something newer than this program.
    #[error("the qcow2 image needs a feature that is not known here ({0})")]
    Feature(String),
    /// It contradicts itself, or is no such file.
    #[error("the qcow2 image's header makes no sense: {0}")]
    Broken(&'static str),
}

pub(super) fn is(file: &dyn ReadAt) -> bool {
    array::<4>(file, 0).is_ok_and(|magic| magic == MAGIC)
}

impl Header {
    pub(super) fn read(file: &dyn ReadAt) -> Result<Self, NotQcow2> {
        if file.size() < LENGTH as u64 {
            return Err(NotQcow2::Short);
        }
        let bytes: [u8; LENGTH] = array(file, 0)?;
        let version = be32(&bytes, 4);
        if bytes[..4] != MAGIC || !(2..=3).contains(&version) {
            return Err(NotQcow2::Broken("it is none of version 2 or 3"));
        }
        let features = if version >= 3 { be64(&bytes, 72) } else { 0 };
        refuse(features, &bytes)?;
        let header = Self {
            cluster_bits: be32(&bytes, 20),
            size: be64(&bytes, 24),
            tables: be32(&bytes, 36) as usize,
            tables_at: be64(&bytes, 40),
            extended: features & EXTENDED != 0,
            compression: match bytes[104] {
                _ if features & COMPRESSION == 0 => Compression::Deflate,
                0 => Compression::Deflate,
                1 => Compression::Zstd,
                other => return Err(NotQcow2::Feature(format!("compression {other}"))),
            },
        };
        header.check()
    }

    fn check(self) -> Result<Self, NotQcow2> {
        // Subclusters are of 512 bytes at least, and there are 32 in a cluster.
        let smallest = if self.extended { 14 } else { 9 };
        if !(smallest..=21).contains(&self.cluster_bits) {
            return Err(NotQcow2::Broken("its clusters' size"));
        }
        if self.size == 0 || self.size > SIZE_MAX {
            return Err(NotQcow2::Broken("its size"));
        }
        let needed = self.size.div_ceil(self.cluster_size()).div_ceil(self.clusters_per_table());
        if (self.tables as u64) < needed || self.tables > TABLES_MAX {
            return Err(NotQcow2::Broken("its first table's size"));
        }
        Ok(self)
    }

    pub(super) fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    pub(super) fn entry_size(&self) -> u64 {
        if self.extended { 16 } else { 8 }
    }

    pub(super) fn clusters_per_table(&self) -> u64 {
        self.cluster_size() / self.entry_size()
    }
}

fn refuse(features: u64, bytes: &[u8]) -> Result<(), NotQcow2> {
    if be64(bytes, 8) != 0 {
        return Err(NotQcow2::Backed);
    }
    if be32(bytes, 32) != 0 {
        return Err(NotQcow2::Encrypted);
    }
    if features & CORRUPT != 0 {
        return Err(NotQcow2::Corrupt);
    }
    if features & EXTERNAL != 0 {
        return Err(NotQcow2::Backed);
    }
    match features & !(DIRTY | COMPRESSION | EXTENDED) {
        0 => Ok(()),
        unknown => Err(NotQcow2::Feature(format!("incompatible feature bits {unknown:#x}"))),
    }
}

const MAGIC: [u8; 4] = *b"QFI\xfb";
/// The header of version 3 with its compression type. What follows a shorter one is a table, and not looked at.
const LENGTH: usize = 105;
/// Incompatible features. Only the counters of references are behind in a dirty image, which nothing here reads.
const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL: u64 = 1 << 2;
const COMPRESSION: u64 = 1 << 3;
const EXTENDED: u64 = 1 << 4;
/// 1 TiB: more than any vendor's image has, and few enough chunks for a manifest.
const SIZE_MAX: u64 = 1 << 40;
/// QEMU's own limit is 32 MiB, 8 bytes an entry.
const TABLES_MAX: usize = 4 << 20;
