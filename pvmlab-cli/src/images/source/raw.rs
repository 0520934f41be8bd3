//! A file that is the disk as it is.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use disk_image::ReadAt;
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

/// The file and its length.
#[derive(Debug)]
pub(super) struct Raw {
    file: File,
    size: u64,
}

impl Raw {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }
}

impl ReadAt for Raw {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, at)
    }

    /// lseek(2): where data begins again; `ENXIO` when none comes any more. A file system without holes has data everywhere.
    fn is_hole(&self, at: u64, length: u64) -> io::Result<bool> {
        let offset = i64::try_from(at).map_err(io::Error::other)?;
        match lseek(&self.file, offset, Whence::SeekData) {
            Ok(data) => Ok(data as u64 >= at.saturating_add(length)),
            Err(Errno::ENXIO) => Ok(true),
            Err(Errno::EINVAL) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_known_where_the_file_system_knows_them() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(16 << 20).expect("written");
        file.write_all_at(b"data", 8 << 20).expect("written");
        let raw = Raw::new(file).expect("a disk");

        assert!(!raw.is_hole(8 << 20, 1 << 20).expect("known"));
        assert!(raw.is_hole(0, 4 << 20).expect("known"));
        assert!(raw.is_hole(12 << 20, 4 << 20).expect("known"));
    }
}
