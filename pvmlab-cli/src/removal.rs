//! Removing a machine: its process ends, its files go, the definition first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lab_model::MachineName;

use crate::error::Result;
use crate::home::{Home, Lock};
use crate::qemu::power::{self, Off, OffPatience};

/// Removes everything that the lab has of `name`; whether there was anything.
///
/// The definition goes first: a server that still runs forgets the machine at once.
///
/// # Errors
/// A file belongs to somebody else; the others are gone then.
pub(crate) fn remove(home: &Home, name: &MachineName, definition: Option<&str>, _lock: &Lock) -> Result<bool> {
    let mut was = power::off(home, name, OffPatience::NONE)? != Off::Already;
    let written = definition.map(|file| home.vms().join(file));
    for path in written.into_iter().chain(files(home, name)) {
        was |= remove_path(&path)?;
    }
    Ok(was)
}

/// Removes a file, or a folder with what is in it; whether there was one.
///
/// # Errors
/// It belongs to somebody else.
pub(crate) fn remove_path(path: &Path) -> Result<bool> {
    let removed = match fs::symlink_metadata(path) {
        Ok(entry) if entry.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(anyhow::Error::from(error).context(format!("cannot remove {}", path.display())).into()),
    }
}

/// Removes what an earlier command had half made when it was killed.
///
/// # Errors
/// A folder cannot be read.
pub(crate) fn sweep(home: &Home, _lock: &Lock) -> Result<()> {
    for folder in [home.vms(), home.images()] {
        sweep_folder(&folder, 3)?;
    }
    Ok(())
}

fn files(home: &Home, name: &MachineName) -> Vec<PathBuf> {
    vec![
        home.definition(name),
        home.vms().join(format!("{name}.toml")),
        home.disk(name),
        home.firmware_variables(name),
        home.snapshots(name),
        home.hardware(name),
        home.seed(name),
        home.seed_image(name),
        home.console_log(name),
        home.known_hosts(name),
        home.log(&power::log_name(name)),
        home.pid_file(&format!("{name}.console")),
    ]
}

fn sweep_folder(folder: &Path, depth: u8) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        if entry.file_name().to_string_lossy().starts_with(".new-") {
            remove_path(&entry.path())?;
        } else if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sweep_folder(&entry.path(), depth - 1)?;
        }
    }
    Ok(())
}
