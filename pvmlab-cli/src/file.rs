//! Files that are there whole or not at all.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Replaces `path` by `bytes`: a temporary file beside it, synced, renamed. Whoever reads sees the old file or the new one.
///
/// # Errors
/// The folder does not exist or is full; then the old file stands.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_by_pieces(path, [bytes])
}

/// As [`replace`], for who alone owns the file to read.
///
/// # Errors
/// As [`replace`].
pub(crate) fn replace_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, [bytes], 0o600)
}

/// As [`replace`], without a copy of all that is written.
///
/// # Errors
/// As [`replace`].
pub(crate) fn replace_by_pieces<'a>(path: &Path, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
    write(path, pieces, 0o644)
}

fn write<'a>(path: &Path, pieces: impl IntoIterator<Item = &'a [u8]>, mode: u32) -> Result<()> {
    let folder = path.parent().context("a file is in a folder")?;
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        pieces.into_iter().try_for_each(|piece| file.write_all(piece))?;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        fs::File::open(folder)?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("web.json");

        replace(&path, b"old").expect("written");
        replace(&path, b"new").expect("written");

        assert_eq!(fs::read(&path).expect("read"), b"new");
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1);
    }
}
