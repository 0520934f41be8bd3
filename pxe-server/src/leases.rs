//! The lease journal: who has which address, on disk before the machine hears of it.
//!
//! `keeper` says who writes it; what waits for that is in [`Promises`]. People read it by `list` and `export`, and bring
//! leases of other servers into it by `import`, which work on what a server of the same configuration would start with (`book`).
//!
//! A text file of one lease a line, each behind the CRC-32 of what follows: `5d41402a {"mac":…}`. A later line replaces
//! an earlier one of the same address or machine. When most lines are out of date, the leases that count are written to a
//! new file, which takes the old one's place by rename. A line that a power failure cut off, or that is damaged, is left
//! out: all others count. Each family has a file of its own, and a task that owns it.

mod book;
mod export;
mod import;
mod keeper;
mod list;
mod promises;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use pxe_proto::dhcp::LeaseRecord;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;

pub(crate) use self::export::{ExportFormat, export};
pub(crate) use self::import::Import;
pub(crate) use self::keeper::Keeper;
pub(crate) use self::list::List;
pub(crate) use self::promises::Promises;
use crate::config::Durability;
use crate::state::make;

/// The journal, open for writing. Its methods block while the disk works.
#[derive(Debug)]
pub(crate) struct Leases {
    path: PathBuf,
    file: File,
    /// Where the file is: synced, so that a new file's name is as safe as what is in it.
    folder: File,
    durability: Durability,
    /// How much of the file is whole lines.
    length: u64,
    /// From which length on it is worth a look whether the file can be shorter.
    crowded: u64,
}

/// Below this a file is not worth being written anew: a few hundred leases.
const SHORT: u64 = 64 << 10;

impl Leases {
    /// Opens the journal at `path`, made anew where there is none, and reads the leases in it, oldest first.
    ///
    /// # Errors
    /// The file cannot be read or written. What is damaged in it is left out and logged.
    pub(crate) fn open<A: DeserializeOwned>(
        path: &Path,
        durability: Durability,
    ) -> anyhow::Result<(Self, Vec<LeaseRecord<A>>)> {
        let failed = || format!("cannot open the leases in {}", path.display());
        let file = make(path).with_context(failed)?;
        let folder =
            File::open(path.parent().filter(|folder| *folder != "").unwrap_or(Path::new("."))).with_context(failed)?;
        folder.sync_all().with_context(failed)?;
        let Contents { leases, whole, length, damaged } = Contents::read(path).with_context(failed)?;
        if whole < length {
            warn!(path = %path.display(), bytes = length - whole, "the last lease was cut off and is dropped");
            file.set_len(whole as u64).with_context(failed)?;
        }
        if damaged > 0 {
            warn!(path = %path.display(), lines = damaged, "damaged leases are dropped");
        }
        let length = whole as u64;
        Ok((Self { path: path.to_owned(), file, folder, durability, length, crowded: SHORT }, leases))
    }

    /// Adds leases; when this returns they are as safe as the configured durability says.
    ///
    /// # Errors
    /// The disk refuses: then none of them count as written.
    pub(crate) fn append<'a, A: Serialize + 'a>(
        &mut self,
        leases: impl IntoIterator<Item = &'a LeaseRecord<A>>,
    ) -> io::Result<()> {
        let lines = lines(leases);
        // At the end of the whole lines, wherever an attempt that failed left off.
        let written = self.file.write_all_at(&lines, self.length).and_then(|()| match self.durability {
            Durability::Synced => self.file.sync_data(),
            Durability::Buffered => Ok(()),
        });
        match &written {
            Ok(()) => self.length += lines.len() as u64,
            // A remainder costs a line that is left out as damaged, at worst.
            Err(_) => drop(self.file.set_len(self.length)),
        }
        written
    }

    /// What [`Leases::append`] promises.
    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    /// Whether the file has become so long that [`Leases::rewrite`] is worth it.
    pub(crate) fn is_crowded(&self) -> bool {
        self.length > self.crowded
    }

    /// Writes a file of these leases alone, and puts it in the journal's place.
    ///
    /// # Errors
    /// The disk refuses: then the journal is as before.
    pub(crate) fn rewrite<'a, A: Serialize + 'a>(
        &mut self,
        leases: impl IntoIterator<Item = &'a LeaseRecord<A>>,
    ) -> io::Result<()> {
        let lines = lines(leases);
        let length = lines.len() as u64;
        self.crowded = SHORT.max(length * 4);
        if length * 2 > self.length {
            return Ok(());
        }
        let replaced = self.replace(&lines);
        if replaced.is_err() {
            // A disk that refuses is asked again some time, and not for every lease.
            self.crowded = self.crowded.max(self.length * 2);
        }
        replaced
    }

    /// As [`Leases::rewrite`], however long the journal is.
    ///
    /// # Errors
    /// Those of [`Leases::rewrite`].
    fn replace_all<'a, A: Serialize + 'a>(
        &mut self,
        leases: impl IntoIterator<Item = &'a LeaseRecord<A>>,
    ) -> io::Result<()> {
        self.replace(&lines(leases))
    }

    fn replace(&mut self, lines: &[u8]) -> io::Result<()> {
        let path = self.path.with_extension("new");
        let file = make(&path)?;
        file.set_len(0)?;
        file.write_all_at(lines, 0)?;
        // Synced whatever the configuration says: a rename can reach the disk before the data it is about.
        file.sync_data()?;
        fs::rename(&path, &self.path)?;
        // From here on the old file has no name: nothing may be written to it, whatever else fails.
        self.file = file;
        self.length = lines.len() as u64;
        self.folder.sync_all()
    }

    /// Waits until everything is on disk.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// What is in a journal.
struct Contents<A> {
    /// Oldest first.
    leases: Vec<LeaseRecord<A>>,
    /// How many bytes whole lines have, and how many there are.
    whole: usize,
    length: usize,
    /// How many lines are not as they were written.
    damaged: u32,
}

impl<A: DeserializeOwned> Contents<A> {
    /// Reads a journal that is there, also while somebody writes it.
    fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read(path)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut contents = Self { leases: Vec::new(), whole, length: text.len(), damaged: 0 };
        for line in text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match read(line) {
                Some(lease) => contents.leases.push(lease),
                None => contents.damaged += 1,
            }
        }
        Ok(contents)
    }
}

/// Leases as the journal has them, each with its line break.
pub(crate) fn lines<'a, A: Serialize + 'a>(leases: impl IntoIterator<Item = &'a LeaseRecord<A>>) -> Vec<u8> {
    let mut lines = Vec::new();
    for lease in leases {
        let json = serde_json::to_vec(lease).expect("a lease has a JSON form");
        write!(lines, "{:08x} ", crc32fast::hash(&json)).expect("a Vec takes all that is written");
        lines.extend_from_slice(&json);
        lines.push(b'\n');
    }
    lines
}

/// The lease in a line without its line break; `None` where it is damaged.
pub(crate) fn read<A: DeserializeOwned>(line: &[u8]) -> Option<LeaseRecord<A>> {
    let (checksum, json) = line.split_at_checked(9)?;
    let checksum = u32::from_str_radix(str::from_utf8(checksum).ok()?.strip_suffix(' ')?, 16).ok()?;
    (crc32fast::hash(json) == checksum).then(|| serde_json::from_slice(json).ok())?
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::os::unix::fs::PermissionsExt;

    use lab_model::MacAddr;
    use pxe_proto::dhcp::{LeaseState, UnixSeconds};

    use super::*;

    #[test]
    fn leases_are_there_after_a_restart() {
        let state = State::new();

        state.open().0.append(&[lease(1), lease(2)]).expect("room");

        assert_eq!(state.open().1, [lease(1), lease(2)]);
    }

    #[test]
    fn a_lease_that_was_cut_off_anywhere_costs_no_other() {
        let state = State::new();
        state.open().0.append(&[lease(1), lease(2)]).expect("room");
        let text = fs::read(state.path()).expect("the journal");
        let first = text.iter().position(|byte| *byte == b'\n').expect("two lines") + 1;

        for length in first..text.len() {
            fs::write(state.path(), &text[..length]).expect("a torn journal");
            let (mut leases, restored) = state.open();
            assert_eq!(restored, [lease(1)], "{length}");
            leases.append(&[lease(3)]).expect("room");
            assert_eq!(state.open().1, [lease(1), lease(3)], "{length}");
        }
    }

    #[test]
    fn a_damaged_lease_costs_no_other() {
        let state = State::new();
        state.open().0.append(&[lease(1), lease(2)]).expect("room");
        let mut text = fs::read(state.path()).expect("the journal");

        text[20] ^= 1;
        fs::write(state.path(), &text).expect("a damaged journal");

        assert_eq!(state.open().1, [lease(2)]);
    }

    #[test]
    fn a_crowded_journal_is_written_anew() {
        let state = State::new();
        let (mut leases, _) = state.open();
        while !leases.is_crowded() {
            leases.append(&[lease(1), lease(2)]).expect("room");
        }

        leases.rewrite(&[lease(2)]).expect("room");
        leases.append(&[lease(3)]).expect("room");

        assert!(!leases.is_crowded());
        assert_eq!(state.open().1, [lease(2), lease(3)]);
    }

    #[test]
    fn a_journal_that_was_written_anew_is_written_to_whatever_fails_after_its_rename() {
        let state = State::new();
        let (mut leases, _) = state.open();
        while !leases.is_crowded() {
            leases.append(&[lease(1), lease(2)]).expect("room");
        }

        leases.folder = File::open("/dev/null").expect("what cannot be synced");
        assert!(leases.rewrite(&[lease(2)]).is_err());
        leases.append(&[lease(3)]).expect("room");

        assert_eq!(state.open().1, [lease(2), lease(3)]);
    }

    #[test]
    fn a_write_that_fails_costs_no_other_lease() {
        let state = State::new();
        let (mut leases, _) = state.open();
        leases.append(&[lease(1)]).expect("room");

        let writable = std::mem::replace(&mut leases.file, File::open(state.path()).expect("the journal, to read"));
        leases.append(&[lease(2)]).expect_err("read-only");
        // What a disk took before it was full, and would not cut off either.
        let half = &lines(&[lease(2), lease(2), lease(2)])[..200];
        writable.write_all_at(half, leases.length).expect("room");
        leases.file = writable;
        leases.append(&[lease(3)]).expect("room");

        let restored = state.open().1;
        assert_eq!((restored.first(), restored.get(1)), (Some(&lease(1)), Some(&lease(3))));
        assert!(restored.iter().all(|restored| [lease(1), lease(2), lease(3)].contains(restored)), "{restored:?}");
    }

    #[test]
    fn a_lease_that_an_earlier_version_wrote_counts() {
        let state = State::new();
        let json =
            serde_json::to_string(&lease(1)).expect("a lease has a JSON form").replace('}', r#","hostname":"My PC"}"#);
        fs::write(state.path(), format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()))).expect("a journal");

        assert_eq!(state.open().1, [lease(1)]);
    }

    #[test]
    fn a_journal_of_live_leases_is_left_alone() {
        let state = State::new();
        let (mut leases, _) = state.open();
        let all: Vec<_> = (0..=255).flat_map(|_| [lease(1), lease(2)]).collect();
        while !leases.is_crowded() {
            leases.append(&all).expect("room");
        }
        let length = fs::metadata(state.path()).expect("the journal").len();

        leases.rewrite(&vec![lease(1); (length / 100) as usize]).expect("room");

        assert!(!leases.is_crowded());
        assert_eq!(fs::metadata(state.path()).expect("the journal").len(), length);
    }

    #[test]
    fn nobody_else_may_read_who_has_which_address() {
        let state = State::new();
        let _ = state.open();

        let mode = fs::metadata(state.path()).expect("the journal").permissions().mode();

        assert_eq!(mode & 0o777, 0o600);
    }

    struct State(tempfile::TempDir);

    impl State {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("leases")
        }

        fn open(&self) -> (Leases, Vec<LeaseRecord>) {
            Leases::open(&self.path(), Durability::Synced).expect("a journal")
        }
    }

    fn lease(last: u8) -> LeaseRecord {
        LeaseRecord {
            mac: MacAddr::new([0x52, 0x54, 0, 0, 0, last]),
            address: Ipv4Addr::new(10, 77, 0, last),
            state: LeaseState::Bound,
            granted: UnixSeconds(1),
            expires: UnixSeconds(2),
            hostname: None,
        }
    }
}
