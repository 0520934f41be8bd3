//! What must be undone, on disk before it is done.
//!
//! One JSON file in the state folder, there from before the first change until after the last one is undone. A record of an
//! earlier start of the machine is void: the kernel has forgotten all of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tracing::warn;

/// The record, and the file that it is in.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    contents: Contents,
}

/// What a switch of the kernel was, and what it was set to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Former {
    /// The switch's path below `/proc/sys`.
    pub(super) key: String,
    /// What it was.
    pub(super) was: String,
    /// What it was set to.
    pub(super) set: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    /// The kernel's word for this start of the machine.
    boot: String,
    table: String,
    formers: Vec<Former>,
}

impl Record {
    /// A record of a table and nothing else, not yet on disk.
    pub(super) fn new(path: &Path, table: String) -> Self {
        Self { path: path.to_owned(), contents: Contents { boot: boot(), table, formers: Vec::new() } }
    }

    /// The record that an earlier run left behind.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                warn!(path = %path.display(), %error, "what an earlier run did to the kernel cannot be read");
                return None;
            }
        };
        match serde_json::from_slice::<Contents>(&text) {
            Ok(contents) => (contents.boot == boot()).then(|| Self { path: path.to_owned(), contents }),
            Err(error) => {
                let path = path.display();
                warn!(%path, %error, "what an earlier run did to the kernel is unreadable: see `nft list tables`, `sysctl net.ipv4.ip_forward`");
                None
            }
        }
    }

    /// The nft table.
    pub(super) fn table(&self) -> &str {
        &self.contents.table
    }

    /// The switches, in the order in which they were set.
    pub(super) fn formers(&self) -> &[Former] {
        &self.contents.formers
    }

    /// Adds a switch; one that is there already keeps what it was at first. When this returns it is on disk.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn remember(&mut self, key: &str, was: &str, set: &str) -> anyhow::Result<()> {
        if self.contents.formers.iter().any(|former| former.key == key) {
            return Ok(());
        }
        self.contents.formers.push(Former { key: key.to_owned(), was: was.to_owned(), set: set.to_owned() });
        self.write()
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let text = serde_json::to_vec(&self.contents).expect("a record has a JSON form");
        let new = self.path.with_extension("new");
        let written = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new);
        let written = written.and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_data()?;
            fs::rename(&new, &self.path)?;
            self.sync_folder()
        });
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Removes the file.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn remove(&self) -> anyhow::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.sync_folder(),
        }
        .with_context(|| format!("cannot remove {}", self.path.display()))
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

/// The kernel's word for this start of the machine; without one, every start is the same.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_after_a_crash_with_what_was_at_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("nat.json");
        let mut record = Record::new(&path, "pvmlab-lab".to_owned());
        record.remember("net/ipv4/ip_forward", "0", "1").expect("room");
        record.remember("net/ipv4/ip_forward", "1", "1").expect("room");

        let left = Record::read(&path).expect("a record");

        let former = Former { key: "net/ipv4/ip_forward".to_owned(), was: "0".to_owned(), set: "1".to_owned() };
        assert_eq!((left.table(), left.formers()), ("pvmlab-lab", &[former][..]));
        left.remove().expect("it is ours");
        assert!(Record::read(&path).is_none());
    }

    #[test]
    fn what_an_earlier_start_of_the_machine_left_is_void() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("nat.json");
        fs::write(&path, r#"{"boot": "another", "table": "pvmlab-lab", "formers": []}"#).expect("room");

        assert!(Record::read(&path).is_none());
    }

    #[test]
    fn a_damaged_one_stops_nobody() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("nat.json");
        fs::write(&path, "{").expect("room");

        assert!(Record::read(&path).is_none());
    }
}
