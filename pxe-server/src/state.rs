//! The folder of what the server must remember: leases, events, and what to undo. One process at a time has it.

use std::fs::{self, File, TryLockError};
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
    /// It cannot be made or written to, or another server has it.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("lock");
        let failed = || format!("cannot use the state folder {}", folder.display());
        fs::create_dir_all(folder).with_context(failed)?;
        let lock = File::create(&path).with_context(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                anyhow::bail!("{} is in use: another pxe-server has the lock on {}", folder.display(), path.display())
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(failed),
        }
    }

    /// Where the leases are.
    pub(crate) fn leases(&self) -> PathBuf {
        self.folder.join("leases")
    }

    /// Where the IPv6 leases are.
    pub(crate) fn leases6(&self) -> PathBuf {
        self.folder.join("leases6")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_at_a_time_has_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = State::open(folder.path()).expect("a new folder");

        let refused = State::open(folder.path()).expect_err("it is in use").to_string();

        assert!(refused.contains("another pxe-server has the lock"), "{refused}");
        drop(first);
        State::open(folder.path()).expect("nobody has it any more");
    }
}
