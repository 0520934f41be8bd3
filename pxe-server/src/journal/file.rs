//! A file of event lines that grows to a bound, then becomes `<name>.old` and starts anew.
//!
//! What a disk does not take waits in memory, up to a bound of its own. A line of which the disk took a part is written
//! again, whole and on a line of its own. All methods block while the disk works.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use lab_model::Event;
use tracing::debug;

/// The file, and the lines that wait for it.
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
    length: u64,
    bound: u64,
    /// Whether the file ends within a line.
    torn: bool,
    waiting: Vec<u8>,
}

/// How much waits for the disk before the oldest lines are dropped: a few hundred boots.
const WAITING_BYTES: usize = 1 << 20;

impl EventFile {
    /// Opens the file, made anew where there is none.
    ///
    /// # Errors
    /// It cannot be made, read or written.
    pub(super) fn open(path: PathBuf, bound: u64) -> anyhow::Result<Self> {
        let failed = || format!("cannot open the events in {}", path.display());
        let mut file = create(&path).with_context(failed)?;
        let length = file.metadata().with_context(failed)?.len();
        let torn = ends_within_a_line(&mut file, length).with_context(failed)?;
        Ok(Self { path, file, length, bound, torn, waiting: Vec::new() })
    }

    /// The events in the file, and in the one before it.
    ///
    /// # Errors
    /// One of them cannot be read. What is no event is skipped.
    pub(super) fn read_back(&self) -> anyhow::Result<Vec<Event>> {
        let mut events = Vec::new();
        for path in [old(&self.path), self.path.clone()] {
            let text = match fs::read(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
            };
            let mut skipped = 0_u32;
            for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                match serde_json::from_slice(line) {
                    Ok(event) => events.push(event),
                    Err(_) => skipped += 1,
                }
            }
            if skipped > 0 {
                debug!(path = %path.display(), skipped, "lines that are no events, such as one cut off by a power failure");
            }
        }
        Ok(events)
    }

    /// Adds an event to what waits for the disk; returns how many old ones had to make room.
    pub(super) fn push(&mut self, event: &Event) -> u64 {
        serde_json::to_writer(&mut self.waiting, event).expect("an event has a JSON form, and a Vec takes all");
        self.waiting.push(b'\n');
        let excess = self.waiting.len().saturating_sub(WAITING_BYTES);
        if excess == 0 {
            return 0;
        }
        let end = self.waiting.iter().skip(excess - 1).position(|byte| *byte == b'\n').map_or(0, |at| excess + at);
        self.waiting.drain(..end).filter(|byte| *byte == b'\n').count() as u64
    }

    /// Whether anything waits for the disk.
    pub(super) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// The disk refuses: what it did not take waits on.
    pub(super) fn write(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        if self.length + self.waiting.len() as u64 > self.bound && self.length > 0 {
            self.begin_anew()?;
        }
        if self.torn {
            self.file.write_all(b"\n")?;
            self.length += 1;
            self.torn = false;
        }
        let mut taken = 0;
        let written = loop {
            match self.file.write(&self.waiting[taken..]) {
                _ if taken == self.waiting.len() => break Ok(()),
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => taken += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let whole = self.waiting[..taken].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.length += taken as u64;
        self.torn = whole < taken;
        self.waiting.drain(..whole);
        written
    }

    /// Waits until everything that was written is on disk.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        match fs::rename(&self.path, old(&self.path)) {
            Ok(()) => {}
            // An attempt before this one got no further.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.file = create(&self.path)?;
        (self.length, self.torn) = (0, false);
        Ok(())
    }
}

/// Opens for appending. For a new file the folder is synced, so that its name is as safe as what is in it.
fn create(path: &Path) -> io::Result<File> {
    let open = |options: &mut OpenOptions| options.read(true).append(true).mode(0o600).open(path);
    let file = match open(OpenOptions::new().create_new(true)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return open(&mut OpenOptions::new()),
        made => made?,
    };
    if let Some(folder) = path.parent().filter(|folder| *folder != "") {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

fn ends_within_a_line(file: &mut File, length: u64) -> io::Result<bool> {
    if length == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// The file before the one at `path`.
pub(super) fn old(path: &Path) -> PathBuf {
    path.with_extension("jsonl.old")
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use jiff::Timestamp;
    use lab_model::{MacAddr, What};

    use super::*;

    #[test]
    fn the_file_stays_within_twice_its_bound() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.jsonl");
        let one = line(0).len() as u64;
        let mut file = EventFile::open(path.clone(), 3 * one + 1).expect("a file");

        for number in 0..100 {
            file.push(&event(number % 10));
            file.write().expect("room");
        }

        let length = |path: &Path| fs::metadata(path).expect("a file").len();
        assert_eq!((length(&path), length(&old(&path))), (one, 3 * one));
    }

    #[test]
    fn a_line_that_the_disk_took_half_of_is_written_again_on_a_line_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.jsonl");
        let mut file = EventFile::open(path.clone(), u64::MAX).expect("a file");
        file.push(&event(0));
        file.write().expect("room");
        let (full, _reader) = UnixStream::pair().expect("a socket");
        full.set_nonblocking(true).expect("a socket option");

        let disk = std::mem::replace(&mut file.file, File::from(OwnedFd::from(full)));
        while !file.torn {
            for number in 1..1000 {
                file.push(&event(number));
            }
            let _ = file.write();
        }
        let kept = file.waiting.clone();
        file.file = disk;
        // What the disk took of the line before it was full.
        file.file.write_all(br#"{"at":"1970"#).expect("room");
        file.write().expect("room");

        let expected = [line(0), br#"{"at":"1970"#.to_vec(), b"\n".to_vec(), kept].concat();
        assert!(fs::read(&path).expect("the file") == expected);
        assert!(!file.is_behind());
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_lines_make_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = EventFile::open(folder.path().join("events.jsonl"), u64::MAX).expect("a file");
        let room = WAITING_BYTES / line(0).len();

        let dropped: u64 = (0..room + 10).map(|_| file.push(&event(0))).sum();

        assert_eq!(dropped, 10);
        assert_eq!(file.waiting, line(0).repeat(room));
    }

    #[test]
    fn a_disk_that_refuses_a_new_file_gets_it_later() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.jsonl");
        let mut file = EventFile::open(path.clone(), 1).expect("a file");
        file.push(&event(0));
        file.write().expect("room");
        fs::create_dir(old(&path)).expect("a folder in the way");

        file.push(&event(1));
        file.write().expect_err("the folder is in the way");
        fs::remove_dir(old(&path)).expect("it is empty");
        file.write().expect("room");

        assert_eq!(file.read_back().expect("readable"), [event(0), event(1)]);
    }

    fn event(second: i64) -> Event {
        let at = Timestamp::from_second(second).expect("a time in 1970");
        Event { at, mac: MacAddr::new([0x52, 0x54, 0, 0, 0, 1]), machine: None, what: What::Up }
    }

    fn line(second: i64) -> Vec<u8> {
        let mut line = serde_json::to_vec(&event(second)).expect("an event has a JSON form");
        line.push(b'\n');
        line
    }
}
