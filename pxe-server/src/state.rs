//! The folder of what the server must remember: leases, events, and what to undo. One process at a time has it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The folder, locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct State {
    folder: PathBuf,
    _lock: File,
}

impl State {
    /// Makes the folder where there is none, and locks it.
    ///
    /// # Errors
    /// It cannot be made or written to, or another process has it; the message says which.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let failed = || format!("cannot use the state folder {}", folder.display());
        fs::create_dir_all(folder).with_context(failed)?;
        let path = folder.join("lock");
        let mut lock = make(&path).with_context(failed)?;
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).unwrap_or_default();
                let process = match holder.trim() {
                    "" => String::new(),
                    process => format!(", process {process},"),
                };
                let (folder, path) = (folder.display(), path.display());
                anyhow::bail!("{folder} is in use: another pxe-server{process} has the lock on {path}")
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).with_context(failed)?;
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    /// Where the leases are.
    pub(crate) fn leases(&self) -> PathBuf {
        Self::leases_in(&self.folder)
    }

    /// Where the IPv6 leases are.
    pub(crate) fn leases6(&self) -> PathBuf {
        Self::leases6_in(&self.folder)
    }

    /// Where the leases are of whoever has this folder: to read them needs no lock.
    pub(crate) fn leases_in(folder: &Path) -> PathBuf {
        folder.join("leases")
    }

    /// The same for IPv6.
    pub(crate) fn leases6_in(folder: &Path) -> PathBuf {
        folder.join("leases6")
    }

    /// Where the server's own DHCPv6 identifier is.
    pub(crate) fn duid(&self) -> PathBuf {
        self.folder.join("duid")
    }

    /// Where it stands what NAT changed in the kernel.
    pub(crate) fn nat(&self) -> PathBuf {
        self.folder.join("nat.json")
    }

    /// Where the boot events are.
    pub(crate) fn events(&self) -> PathBuf {
        self.folder.join("events.jsonl")
    }
}

/// Opens a file of the folder for writing, made where there is none: for its owner alone, who is the folder's, also where root makes it
/// for a server that runs as somebody else.
///
/// # Errors
/// It cannot be made or written to.
pub(crate) fn make(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    let folder = path.parent().filter(|folder| *folder != "").unwrap_or(Path::new("."));
    let (owner, own) = (fs::metadata(folder)?, file.metadata()?);
    if (owner.uid(), owner.gid()) != (own.uid(), own.gid()) {
        // Whoever may not give it away is the one who serves, too.
        let _ = fchown(&file, Some(owner.uid()), Some(owner.gid()));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_at_a_time_has_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = State::open(folder.path()).expect("a new folder");

        let refused = State::open(folder.path()).expect_err("it is in use").to_string();

        let own = format!("another pxe-server, process {}, has the lock", std::process::id());
        assert!(refused.contains(&own), "{refused}");
        drop(first);
        State::open(folder.path()).expect("nobody has it any more");
    }
}
