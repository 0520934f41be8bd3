//! Replaces a file whole.

use std::{
    fs::{self, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use anyhow::{Context, Result};

/// Gives `path` these contents and this mode; a file that has the contents already is left alone.
///
/// So cargo builds nothing anew for a file that is as it was, and a program that runs keeps its file until it ends.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn replace(path: &Path, contents: &[u8], mode: u32) -> Result<()> {
    if fs::read(path).is_ok_and(|found| found == contents) {
        return Ok(());
    }
    let write = || -> Result<()> {
        let folder = path.parent().context("it lies in no folder")?;
        fs::create_dir_all(folder)?;
        let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
        fresh.write_all(contents)?;
        fresh.as_file().set_permissions(Permissions::from_mode(mode))?;
        fresh.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_as_it_was_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/file");
        replace(&path, b"one", 0o644).unwrap();
        let modified = |path: &Path| path.metadata().unwrap().modified().unwrap();
        let (file, parent) = (modified(&path), modified(path.parent().unwrap()));

        replace(&path, b"one", 0o644).unwrap();

        assert_eq!((modified(&path), modified(path.parent().unwrap())), (file, parent));
    }

    #[test]
    fn a_file_that_is_another_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, b"one", 0o644).unwrap();

        replace(&path, b"other", 0o755).unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"other");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }
}
