//! The files of a file system, whichever it is.

use std::io;

/// A file system that is read.
pub(crate) trait Files {
    /// The file at `path`, which begins with a slash; links are followed. `None` when there is no file.
    ///
    /// # Errors
    /// It is longer than `most` bytes, or the file system is damaged.
    fn read(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>, Unreadable>;

    /// The names in the folder at `path`, in order; none when there is no folder.
    ///
    /// # Errors
    /// The file system is damaged.
    fn list(&self, path: &str) -> Result<Vec<String>, Unreadable>;
}

/// A file system or a file of it that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// What lies below it cannot be read.
    #[error("cannot read the disk")]
    Read(#[from] io::Error),
    /// It contradicts itself.
    #[error("the file system is damaged: {0}")]
    Damaged(String),
    /// A file of this kind is never so long.
    #[error("{path} has {size} bytes: expected at most {most}")]
    Long {
        /// Which.
        path: String,
        /// Its length.
        size: u64,
        /// What would do.
        most: u64,
    },
}

/// Whether a folder calls itself or its parent so.
pub(crate) fn is_dots(name: &str) -> bool {
    matches!(name, "." | "..")
}

/// How many names of a folder are looked at: a hostile one may have no end.
pub(crate) const NAMES_MAX: usize = 10_000;
