//! The disk while it is written: a block device, or a file in its place.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate};

use crate::Block;

/// An open disk of known size.
///
/// A block device is written past the page cache (`O_DIRECT`), so that no memory fills with dirty pages and the last flush
/// has little left to do. A file in its place may lie on anything, and is written through the cache and flushed on the way.
#[derive(Debug)]
pub struct Device {
    path: PathBuf,
    file: File,
    size: u64,
    direct: bool,
    unflushed: u64,
    zeroing: Zeroing,
}

impl Device {
    /// Opens the disk at `path`, for nobody else to mount while it is open.
    ///
    /// # Errors
    /// It is in use (mounted, or part of an array), cannot be written, or is not there.
    pub fn open(path: &Path) -> Result<Self> {
        let file_type = path.metadata().with_context(|| format!("cannot open {}", path.display()))?.file_type();
        let direct = file_type.is_block_device();
        // On a block device, O_EXCL without O_CREAT fails where a file system or an array holds it (open(2)).
        let flags = if direct { OFlag::O_EXCL | OFlag::O_DIRECT } else { OFlag::empty() };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.bits())
            .open(path)
            .with_context(|| format!("cannot open {} to write it", path.display()))?;
        let size =
            file.seek(SeekFrom::End(0)).with_context(|| format!("cannot tell the size of {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file, size, direct, unflushed: 0, zeroing: Zeroing::Punch })
    }

    /// The same disk for another thread.
    ///
    /// # Errors
    /// There are too many open files.
    pub fn again(&self) -> Result<Self> {
        let file = self.file.try_clone().with_context(|| format!("cannot open {} again", self.path.display()))?;
        Ok(Self { path: self.path.clone(), file, unflushed: 0, ..*self })
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads into `bytes`, which start and end in [`Block`]s at multiples of a sector, from `offset`, a multiple of a sector.
    ///
    /// # Errors
    /// The disk does not give them.
    pub fn read(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        self.file
            .read_exact_at(bytes, offset)
            .with_context(|| format!("cannot read {} at byte {offset}", self.path.display()))
    }

    /// Writes `bytes`, which start and end in [`Block`]s at multiples of a sector, at `offset`, a multiple of a sector.
    ///
    /// # Errors
    /// The disk does not take them.
    pub fn write(&mut self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file
            .write_all_at(bytes, offset)
            .with_context(|| format!("cannot write {} at byte {offset}", self.path.display()))?;
        self.unflushed += bytes.len() as u64;
        if !self.direct && self.unflushed >= DIRTY {
            self.flush()?;
        }
        Ok(())
    }

    /// Makes `range`, which starts and ends at multiples of a sector, read as zeros, by the cheapest way that the disk knows.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn zero(&mut self, range: Range<u64>) -> Result<()> {
        let mut at = range.start;
        while at < range.end {
            // In parts, because one call for a whole disk without hardware support could not be seen to progress.
            let length = ZERO_AT_ONCE.min(range.end - at);
            self.zero_part(at, length).with_context(|| format!("cannot zero {} at byte {at}", self.path.display()))?;
            at += length;
        }
        Ok(())
    }

    fn zero_part(&mut self, at: u64, length: u64) -> Result<()> {
        loop {
            let how = match self.zeroing {
                Zeroing::Punch => FallocateFlags::FALLOC_FL_PUNCH_HOLE,
                Zeroing::Range => FallocateFlags::FALLOC_FL_ZERO_RANGE,
                Zeroing::Write => return self.write_zeros(at, length),
            };
            let (offset, count) = (libc_offset(at)?, libc_offset(length)?);
            match fallocate(&self.file, how | FallocateFlags::FALLOC_FL_KEEP_SIZE, offset, count) {
                Ok(()) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL | Errno::ENODEV) => {
                    self.zeroing = self.zeroing.next();
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn write_zeros(&mut self, at: u64, length: u64) -> Result<()> {
        let zeros = Block::zeroed(ZEROS);
        let end = at + length;
        for offset in (at..end).step_by(ZEROS) {
            let count = (end - offset).min(ZEROS as u64) as usize;
            self.write(&zeros[..count], offset)?;
        }
        Ok(())
    }

    /// Waits until all that was written is on the medium, out of the disk's own cache too.
    ///
    /// # Errors
    /// The disk could not keep something.
    pub fn flush(&mut self) -> Result<()> {
        self.unflushed = 0;
        self.file.sync_data().with_context(|| format!("cannot flush {}", self.path.display()))
    }
}

/// How a range becomes zeros, in the order in which it is tried.
///
/// On a block device the kernel guarantees for both calls that the range reads as zeros afterwards; discarding alone would
/// not. `Punch` also gives the space back and fails where the device has no command for it; for `Range` the kernel
/// itself writes zeros then.
#[derive(Clone, Copy, Debug)]
enum Zeroing {
    Punch,
    Range,
    Write,
}

impl Zeroing {
    fn next(self) -> Self {
        match self {
            Self::Punch => Self::Range,
            Self::Range | Self::Write => Self::Write,
        }
    }
}

fn libc_offset(bytes: u64) -> Result<i64> {
    i64::try_from(bytes).context("beyond what a disk can hold")
}

/// How much of a file may wait in the page cache.
const DIRTY: u64 = 32 << 20;

const ZERO_AT_ONCE: u64 = 256 << 20;

/// As many zeros are written at once, where the disk has no better way.
const ZEROS: usize = 1 << 20;
