//! ext2, ext3 and ext4.

use std::error::Error;
use std::sync::Arc;

use ext4_view::{Ext4, Ext4Error, Ext4Read};

use crate::files::{Files, NAMES_MAX, Unreadable, is_dots};
use crate::read_at::{ReadAt, array, le16, le32};

/// Whether `volume` holds such a file system.
pub(crate) fn is(volume: &dyn ReadAt) -> bool {
    array::<2>(volume, SUPERBLOCK + 0x38).is_ok_and(|magic| le16(&magic, 0) == MAGIC)
}

/// Opens the file system in `volume`.
///
/// # Errors
/// It is damaged, or has a feature that is not known.
pub(crate) fn open(volume: Arc<dyn ReadAt>) -> Result<impl Files, Unreadable> {
    let superblock: [u8; 1024] = array(&*volume, SUPERBLOCK)?;
    // What is loaded is as large as these say.
    let (block, blocks) = (le32(&superblock, 0x18), u64::from(le32(&superblock, 0x4)));
    if block > BLOCK_MAX || blocks << (10 + block) > volume.size() {
        return Err(Unreadable::Damaged("it is larger than its partition".to_owned()));
    }
    Ext4::load(Box::new(Volume(volume))).map_err(damaged)
}

impl Files for Ext4 {
    fn read(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>, Unreadable> {
        let metadata = match self.metadata(path) {
            Ok(metadata) if metadata.file_type().is_regular_file() => metadata,
            Ok(_) => return Ok(None),
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(damaged(error)),
        };
        if metadata.len() > most {
            return Err(Unreadable::Long { path: path.to_owned(), size: metadata.len(), most });
        }
        Ext4::read(self, path).map(Some).map_err(damaged)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, Unreadable> {
        let entries = match self.read_dir(path) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(damaged(error)),
        };
        let mut names = Vec::new();
        for entry in entries.take(NAMES_MAX) {
            let entry = entry.map_err(damaged)?;
            names.extend(entry.file_name().as_str().ok().filter(|name| !is_dots(name)).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }
}

struct Volume(Arc<dyn ReadAt>);

impl Ext4Read for Volume {
    fn read(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(self.0.read_at(at, buffer)?)
    }
}

/// A link may lead anywhere: out of this file system, or in a circle.
fn is_absent(error: &Ext4Error) -> bool {
    use Ext4Error::{
        IsADirectory, IsASpecialFile, MalformedPath, NotADirectory, NotFound, PathTooLong, TooManySymlinks,
    };
    matches!(
        error,
        NotFound | NotADirectory | IsADirectory | IsASpecialFile | MalformedPath | PathTooLong | TooManySymlinks
    )
}

fn damaged(error: Ext4Error) -> Unreadable {
    match error {
        Ext4Error::Io(error) => match error.downcast::<std::io::Error>() {
            Ok(error) => Unreadable::Read(*error),
            Err(error) => Unreadable::Damaged(error.to_string()),
        },
        error => Unreadable::Damaged(error.to_string()),
    }
}

/// The kernel's Documentation/filesystems/ext4: the superblock is at byte 1024, its magic number at 0x38 of it.
const SUPERBLOCK: u64 = 1024;
const MAGIC: u16 = 0xef53;
/// 64 KiB, as a power of two above 1 KiB.
const BLOCK_MAX: u32 = 6;
