//! What is in a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What is in a folder under a name of this kind; nothing, if there is no such folder.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn entries<T: FromStr>(folder: &Path) -> io::Result<Vec<(T, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut named = Vec::new();
    for entry in entries {
        let entry = entry?;
        named.extend(entry.file_name().to_str().and_then(|name| Some((name.parse().ok()?, entry.path()))));
    }
    Ok(named)
}
