//! Bytes that can be read at any place: a disk, or a partition of one.

use std::io;
use std::sync::Arc;

/// A disk, whatever it lies in.
pub trait ReadAt: Send + Sync {
    /// Its length in bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` with what is at `at`.
    ///
    /// # Errors
    /// It does not all lie inside, or cannot be read.
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Whether `length` bytes at `at` are known to be zeros without being read; `false` when they may be anything.
    ///
    /// # Errors
    /// What says so cannot be read.
    fn is_hole(&self, _at: u64, _length: u64) -> io::Result<bool> {
        Ok(false)
    }
}

/// A part of a disk that is read as if it were one.
#[derive(Clone)]
pub struct Part {
    disk: Arc<dyn ReadAt>,
    start: u64,
    size: u64,
}

impl Part {
    /// `size` bytes of `disk` from `start`; what of them is beyond its end cannot be read.
    pub fn new(disk: Arc<dyn ReadAt>, start: u64, size: u64) -> Self {
        Self { disk, start, size }
    }
}

impl ReadAt for Part {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        check(self.size, at, buffer.len())?;
        self.disk.read_at(self.start.checked_add(at).ok_or_else(beyond)?, buffer)
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        check(self.size(), at, buffer.len())?;
        let at = usize::try_from(at).map_err(|_| beyond())?;
        buffer.copy_from_slice(&self[at..at + buffer.len()]);
        Ok(())
    }
}

/// The first `N` bytes at `at`.
pub(crate) fn array<const N: usize>(disk: &dyn ReadAt, at: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    disk.read_at(at, &mut bytes)?;
    Ok(bytes)
}

/// # Errors
/// `length` bytes at `at` do not all lie inside of `size`.
pub(crate) fn check(size: u64, at: u64, length: usize) -> io::Result<()> {
    match at.checked_add(length as u64) {
        Some(end) if end <= size => Ok(()),
        Some(_) | None => Err(beyond()),
    }
}

fn beyond() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it ends before what it refers to")
}

/// Numbers as formats have them; the slice is long enough, as whoever asks cut it.
pub(crate) fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(crate) fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le32(bytes, at)) | u64::from(le32(bytes, at + 4)) << 32
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    le32(bytes, at).swap_bytes()
}

pub(crate) fn be64(bytes: &[u8], at: usize) -> u64 {
    le64(bytes, at).swap_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_where_it_ends_and_where_its_disk_does() {
        let disk: Arc<dyn ReadAt> = Arc::new((0..100).collect::<Vec<u8>>());
        let mut two = [0; 2];

        Part::new(disk.clone(), 10, 5).read_at(3, &mut two).expect("inside");
        assert_eq!(two, [13, 14]);
        for (start, size, at) in [(10, 5, 4), (99, 5, 0), (u64::MAX, 5, 1), (0, u64::MAX, u64::MAX)] {
            assert!(Part::new(disk.clone(), start, size).read_at(at, &mut two).is_err(), "{start} {size} {at}");
        }
    }
}
