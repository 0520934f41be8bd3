//! What happened to each machine: recorded by every service, kept on disk, folded into timelines.
//!
//! One task writes. Recording never waits: when events come faster than the disk takes them, the surplus is counted and
//! dropped, because no machine's boot may depend on what we write down about it.

use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use jiff::Timestamp;
use lab_model::{Event, Inventory, MacAddr, What};
use pxe_proto::boot::Timelines;
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::{broadcast, mpsc, watch};
use tracing::{debug, warn};

/// How services record what happened, and see what happened so far. Clones are the same journal.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    events: mpsc::Sender<Event>,
    recorded: broadcast::Sender<Arc<Event>>,
    timelines: watch::Receiver<Arc<Timelines>>,
    dropped: Arc<AtomicU64>,
}

/// The journal's only writer; [`Writer::run`] is its task.
pub(crate) struct Writer {
    events: mpsc::Receiver<Event>,
    recorded: broadcast::Sender<Arc<Event>>,
    timelines: Timelines,
    published: watch::Sender<Arc<Timelines>>,
    inventory: watch::Receiver<Arc<Inventory>>,
    dropped: Arc<AtomicU64>,
    file: Rotated,
}

/// How many events wait for the writer before new ones are dropped.
const QUEUE: usize = 1024;
/// How many events a follower may be behind before it misses some.
const FOLLOWER_QUEUE: usize = 256;
/// How long the file gets before it becomes the old one: two of them are the journal.
const FILE_BYTES: u64 = 1 << 20;

/// Opens the journal at `path` and reads back what happened before.
///
/// # Errors
/// The file cannot be opened. What cannot be understood in it is skipped.
pub(crate) async fn open(path: &Path, inventory: watch::Receiver<Arc<Inventory>>) -> anyhow::Result<(Journal, Writer)> {
    let file = Rotated::open(path.to_owned(), FILE_BYTES).await?;
    let mut timelines = Timelines::default();
    for event in file.read_back().await? {
        timelines.record(&event);
    }
    let (events, received) = mpsc::channel(QUEUE);
    let (recorded, _) = broadcast::channel(FOLLOWER_QUEUE);
    let (published, shown) = watch::channel(Arc::new(timelines.clone()));
    let dropped = Arc::new(AtomicU64::new(0));
    let journal = Journal { events, recorded: recorded.clone(), timelines: shown, dropped: dropped.clone() };
    Ok((journal, Writer { events: received, recorded, timelines, published, inventory, dropped, file }))
}

impl Journal {
    /// Records what happened to the machine with this hardware address, now.
    pub(crate) fn record(&self, mac: MacAddr, what: What) {
        let event = Event { at: Timestamp::now(), mac, machine: None, what };
        if self.events.try_send(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How each machine's boots went so far.
    pub(crate) fn snapshot(&self) -> Arc<Timelines> {
        self.timelines.borrow().clone()
    }

    /// Every event from now on; a follower that is too slow misses some and is told how many.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Arc<Event>> {
        self.recorded.subscribe()
    }
}

impl Writer {
    /// Writes until the last [`Journal`] is gone, and what was recorded is on disk.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::new();
        let mut failing = false;
        while self.events.recv_many(&mut batch, QUEUE).await > 0 {
            let mut lines = Vec::new();
            for mut event in batch.drain(..) {
                event.machine = self.inventory.borrow().by_mac(event.mac).map(|machine| machine.name.clone());
                serde_json::to_writer(&mut lines, &event).expect("an event has a JSON form, and a Vec takes all");
                lines.push(b'\n');
                self.timelines.record(&event);
                // Nobody follows: nothing to do.
                let _ = self.recorded.send(Arc::new(event));
            }
            self.published.send_replace(Arc::new(self.timelines.clone()));
            let written = self.file.append(&lines).await;
            // A full disk says so once, not at every event.
            match &written {
                Err(error) if !failing => warn!(%error, "events cannot be written to disk: they are kept in memory"),
                _ => {}
            }
            failing = written.is_err();
            match self.dropped.swap(0, Ordering::Relaxed) {
                0 => {}
                count => warn!(count, "events were dropped: they came faster than they could be written"),
            }
        }
        if let Err(error) = self.file.sync().await {
            warn!(%error, "the last events may not be on disk");
        }
    }
}

/// A file of lines that grows to a bound, then becomes `<name>.old` and starts anew.
struct Rotated {
    path: PathBuf,
    file: File,
    length: u64,
    bound: u64,
}

impl Rotated {
    async fn open(path: PathBuf, bound: u64) -> anyhow::Result<Self> {
        let file = create(&path).await.with_context(|| format!("cannot open {}", path.display()))?;
        let length = file.metadata().await?.len();
        Ok(Self { path, file, length, bound })
    }

    async fn read_back(&self) -> anyhow::Result<Vec<Event>> {
        let mut events = Vec::new();
        for path in [old(&self.path), self.path.clone()] {
            let text = match fs::read(&path).await {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
            };
            let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let mut skipped = 0_u32;
            for line in lines {
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

    async fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.length + lines.len() as u64 > self.bound && self.length > 0 {
            fs::rename(&self.path, old(&self.path)).await?;
            self.file = create(&self.path).await?;
            self.length = 0;
        }
        self.file.write_all(lines).await?;
        self.file.flush().await?;
        self.length += lines.len() as u64;
        Ok(())
    }

    async fn sync(&self) -> io::Result<()> {
        self.file.sync_data().await
    }
}

/// Opens for appending; a line that was cut off is ended first, so that the next one is whole.
async fn create(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path).await?;
    if file.metadata().await?.len() > 0 {
        file.seek(SeekFrom::End(-1)).await?;
        if file.read_u8().await? != b'\n' {
            file.write_all(b"\n").await?;
            file.flush().await?;
        }
    }
    Ok(file)
}

fn old(path: &Path) -> PathBuf {
    path.with_extension("jsonl.old")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);

    #[tokio::test]
    async fn what_was_recorded_is_there_after_a_restart() {
        let state = tempfile::tempdir().expect("a folder");
        let (journal, writer) = open(&state.path().join("events.jsonl"), nobody()).await.expect("a journal");
        journal.record(WEB, What::Up);
        drop(journal);
        writer.run().await;

        let (journal, _writer) = open(&state.path().join("events.jsonl"), nobody()).await.expect("the same journal");

        assert!(journal.snapshot().of(WEB).is_some());
    }

    #[tokio::test]
    async fn a_follower_sees_what_is_recorded_and_then_finds_it_in_the_snapshot() {
        let state = tempfile::tempdir().expect("a folder");
        let (journal, writer) = open(&state.path().join("events.jsonl"), nobody()).await.expect("a journal");
        let mut events = journal.follow();
        let writer = tokio::spawn(writer.run());

        journal.record(WEB, What::Script { boot: "local".to_owned() });

        let event = events.recv().await.expect("an event");
        assert_eq!((event.mac, event.what.clone()), (WEB, What::Script { boot: "local".to_owned() }));
        drop(journal);
        writer.await.expect("the writer ends with the last journal");
    }

    #[tokio::test]
    async fn a_line_that_was_cut_off_costs_no_other() {
        let state = tempfile::tempdir().expect("a folder");
        let path = state.path().join("events.jsonl");
        std::fs::write(&path, r#"{"at":"1970-01-01T00:00:00Z","mac":"52:54:0"#).expect("a torn file");
        let (journal, writer) = open(&state.path().join("events.jsonl"), nobody()).await.expect("a journal");

        journal.record(WEB, What::Up);
        drop(journal);
        writer.run().await;

        let (journal, _writer) = open(&state.path().join("events.jsonl"), nobody()).await.expect("the same journal");
        assert_eq!(journal.snapshot().iter().count(), 1);
    }

    #[tokio::test]
    async fn the_file_stays_within_twice_its_bound() {
        let state = tempfile::tempdir().expect("a folder");
        let path = state.path().join("events.jsonl");
        let mut file = Rotated::open(path.clone(), 100).await.expect("a file");

        for _ in 0..100 {
            file.append(&[b'x'; 30]).await.expect("room");
        }

        let length = |path: &Path| std::fs::metadata(path).expect("a file").len();
        assert_eq!((length(&path), length(&old(&path))), (30, 90));
    }

    #[tokio::test]
    async fn recording_never_waits() {
        let state = tempfile::tempdir().expect("a folder");
        let (journal, _writer) = open(&state.path().join("events.jsonl"), nobody()).await.expect("a journal");

        for _ in 0..=QUEUE {
            journal.record(WEB, What::Up);
        }

        assert_eq!(journal.dropped.load(Ordering::Relaxed), 1);
    }

    fn nobody() -> watch::Receiver<Arc<Inventory>> {
        watch::channel(Arc::new(Inventory::default())).1
    }
}
