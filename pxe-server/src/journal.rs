//! What happened to each machine: recorded by every service, kept on disk, folded into timelines.
//!
//! One task writes. Recording never waits: when events come faster than the disk takes them, the surplus is counted and
//! dropped, because no machine's boot may depend on what we write down about it. Events of machines that nobody defined
//! go to a file of their own, so that a flood of them leaves the others' alone.

mod file;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use lab_model::{Event, Inventory, MacAddr, What};
use pxe_proto::boot::{Timeline, Timelines};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use self::file::EventFile;

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
    timelines: watch::Sender<Arc<Timelines>>,
    inventory: watch::Receiver<Arc<Inventory>>,
    dropped: Arc<AtomicU64>,
    files: Files,
}

/// Where events are on disk.
struct Files {
    machines: EventFile,
    strangers: EventFile,
}

/// How many events wait for the writer before new ones are dropped.
const QUEUE: usize = 4096;
/// How many events a follower may be behind before it misses some.
const FOLLOWER_QUEUE: usize = 1024;
/// How long a file gets before it becomes the old one: two of them are kept.
const FILE_BYTES: u64 = 1 << 20;
/// The same for machines that nobody defined.
const STRANGERS_FILE_BYTES: u64 = 256 << 10;
/// The name of their file, beside the other.
const STRANGERS: &str = "strangers.jsonl";
/// How long the writer rests after a write: an event by itself is written at once, many have one write, and services are not held up
/// by waking it for each. The queue has room for what comes meanwhile.
const REST: Duration = Duration::from_millis(20);
/// How long a disk that refused is left alone, where no new event asks for it.
const RETRY: Duration = Duration::from_secs(5);

/// Opens the journal at `path` and reads back what happened before.
///
/// # Errors
/// A file cannot be opened. What cannot be understood in it is skipped.
pub(crate) fn open(path: &Path, inventory: watch::Receiver<Arc<Inventory>>) -> anyhow::Result<(Journal, Writer)> {
    let files = Files {
        machines: EventFile::open(path.to_owned(), FILE_BYTES)?,
        strangers: EventFile::open(path.with_file_name(STRANGERS), STRANGERS_FILE_BYTES)?,
    };
    let mut events = files.machines.read_back()?;
    events.extend(files.strangers.read_back()?);
    events.sort_by_key(|event| event.at);
    let mut timelines = Timelines::default();
    for event in &events {
        // What followed from it then was written down too.
        timelines.record(event);
    }
    let (events, received) = mpsc::channel(QUEUE);
    let (recorded, _) = broadcast::channel(FOLLOWER_QUEUE);
    let (timelines, shown) = watch::channel(Arc::new(timelines));
    let dropped = Arc::new(AtomicU64::new(0));
    let journal = Journal { events, recorded: recorded.clone(), timelines: shown, dropped: dropped.clone() };
    Ok((journal, Writer { events: received, recorded, timelines, inventory, dropped, files }))
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

    /// Looks at how one machine's boots went so far. What looks holds nobody up for longer than that takes.
    pub(crate) fn look<T>(&self, mac: MacAddr, look: impl FnOnce(Option<&Timeline>) -> T) -> T {
        look(self.timelines.borrow().of(mac).map(|timeline| &**timeline))
    }

    /// Every event from now on; a follower that is too slow misses some and is told how many. What happened before is in a
    /// snapshot that is taken afterwards, which may have the first events of these too.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Arc<Event>> {
        self.recorded.subscribe()
    }
}

impl Writer {
    /// Writes until the last [`Journal`] is gone, and what was recorded is on disk.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::new();
        let mut failing = false;
        let mut rested = Instant::now();
        loop {
            sleep_until(rested).await;
            let events = self.events.recv_many(&mut batch, QUEUE);
            let ended = match self.files.are_behind() {
                true => timeout(RETRY, events).await == Ok(0),
                false => events.await == 0,
            };
            self.take_up(&mut batch);
            let mut files = self.files;
            let write = move || {
                let written = files.write();
                (files, written)
            };
            // Nothing in there can panic: only a runtime that ends lets it go undone.
            let Ok((files, written)) = spawn_blocking(write).await else { return };
            self.files = files;
            // A full disk says so once, not at every event.
            match &written {
                Err(error) if !failing => warn!(%error, "events cannot be written to disk: they wait in memory"),
                Ok(()) if failing => info!("events can be written to disk again"),
                Err(_) | Ok(()) => {}
            }
            failing = written.is_err();
            rested = Instant::now() + REST;
            match self.dropped.swap(0, Ordering::Relaxed) {
                0 => {}
                count => warn!(count, "events were dropped: they came faster than they could be written"),
            }
            if ended {
                break;
            }
        }
        if let Err(error) = spawn_blocking(move || self.files.sync()).await.map_err(io::Error::from).flatten() {
            warn!(%error, "the last events may not be on disk");
        }
    }

    /// Shows new events to everybody. Snapshots have an event before followers get it, so that who follows first and looks
    /// then misses none.
    fn take_up(&mut self, batch: &mut Vec<Event>) {
        if batch.is_empty() {
            return;
        }
        for event in batch.iter_mut() {
            event.machine = self.inventory.borrow().by_mac(event.mac).map(|machine| machine.name.clone());
        }
        self.timelines.send_modify(|timelines| {
            // Copied only where somebody still looks at a snapshot: there are as many timelines as machines.
            let timelines = Arc::make_mut(timelines);
            let mut at = 0;
            while let Some(event) = batch.get(at) {
                at += 1;
                if let Some(what) = timelines.record(event) {
                    batch.insert(at, Event { what, ..event.clone() });
                }
            }
        });
        for event in &*batch {
            if let What::StepDown { to, reason } = &event.what {
                let (machine, mac) = (event.machine.as_ref().map(ToString::to_string), event.mac);
                info!(machine, %mac, step = to, reason, "its firmware failed, and is served more gently");
            }
            self.dropped.fetch_add(self.files.push(event), Ordering::Relaxed);
        }
        for event in batch.drain(..) {
            // Nobody follows: nothing to do.
            let _ = self.recorded.send(Arc::new(event));
        }
    }
}

impl Files {
    fn push(&mut self, event: &Event) -> u64 {
        if event.machine.is_some() { self.machines.push(event) } else { self.strangers.push(event) }
    }

    fn are_behind(&self) -> bool {
        self.machines.is_behind() || self.strangers.is_behind()
    }

    fn write(&mut self) -> io::Result<()> {
        // Both, whatever becomes of one.
        let (machines, strangers) = (self.machines.write(), self.strangers.write());
        machines.and(strangers)
    }

    fn sync(&self) -> io::Result<()> {
        let (machines, strangers) = (self.machines.sync(), self.strangers.sync());
        machines.and(strangers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);

    #[tokio::test]
    async fn what_was_recorded_is_there_after_a_restart() {
        let state = tempfile::tempdir().expect("a folder");
        let (journal, writer) = open(&state.path().join("events.jsonl"), nobody()).expect("a journal");
        journal.record(WEB, What::Up);
        drop(journal);
        writer.run().await;

        let (journal, _writer) = open(&state.path().join("events.jsonl"), nobody()).expect("the same journal");

        assert!(journal.snapshot().of(WEB).is_some());
    }

    #[tokio::test]
    async fn a_follower_sees_what_is_recorded_and_then_finds_it_in_the_snapshot() {
        let state = tempfile::tempdir().expect("a folder");
        let (journal, writer) = open(&state.path().join("events.jsonl"), nobody()).expect("a journal");
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
        let (journal, writer) = open(&state.path().join("events.jsonl"), nobody()).expect("a journal");

        journal.record(WEB, What::Up);
        drop(journal);
        writer.run().await;

        let (journal, _writer) = open(&state.path().join("events.jsonl"), nobody()).expect("the same journal");
        assert_eq!(journal.snapshot().iter().count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_full_disk_did_not_take_is_there_when_it_has_room_again() {
        let state = tempfile::tempdir().expect("a folder");
        let path = state.path().join("strangers.jsonl");
        std::fs::write(&path, vec![b'\n'; STRANGERS_FILE_BYTES as usize]).expect("a file that is full");
        let (journal, writer) = open(&state.path().join("events.jsonl"), nobody()).expect("a journal");
        std::fs::create_dir(file::old(&path)).expect("a folder in the way");
        let mut events = journal.follow();
        let writer = tokio::spawn(writer.run());

        journal.record(WEB, What::Up);
        events.recv().await.expect("an event");
        // A second event makes the writer try while the folder is in the way.
        journal.record(WEB, What::Script { boot: "local".to_owned() });
        events.recv().await.expect("an event");
        std::fs::remove_dir(file::old(&path)).expect("it is empty");

        let lines = || std::fs::read_to_string(&path).unwrap_or_default().trim_start().lines().count();
        for _ in 0..10 {
            if lines() < 2 {
                tokio::time::sleep(RETRY).await;
            }
        }
        assert_eq!(lines(), 2);
        drop(journal);
        writer.await.expect("the writer ends with the last journal");
    }

    #[tokio::test]
    async fn a_flood_of_strangers_leaves_the_events_of_machines_on_disk() {
        let state = tempfile::tempdir().expect("a folder");
        let path = state.path().join("events.jsonl");
        let text = "name = 'web'\narch = 'aarch64'\nmac = '52:54:00:00:00:01'\n".to_owned();
        let definition = lab_model::DefinitionFile { file: "web.toml".to_owned(), text: Ok(text) };
        let network: lab_model::Ipv4Net = "10.77.0.1/24".parse().expect("a network");
        let inventory = Arc::new(Inventory::build(&[definition], network, &Inventory::default()));
        let (journal, writer) = open(&path, watch::channel(inventory).1).expect("a journal");
        journal.record(WEB, What::Up);

        let (flood, writer) = (journal.clone(), tokio::spawn(writer.run()));
        let mut followed = journal.follow();
        for number in 0..3 * STRANGERS_FILE_BYTES / 1000 {
            let [.., a, b] = number.to_be_bytes();
            flood.record(MacAddr::new([2, 0, 0, 0, a, b]), What::Script { boot: "x".repeat(1000) });
            followed.recv().await.expect("an event");
        }
        drop((journal, flood));
        writer.await.expect("the writer ends with the last journal");

        let (journal, _writer) = open(&path, nobody()).expect("the same journal");
        assert!(journal.snapshot().of(WEB).is_some());
        let length = |path: &Path| std::fs::metadata(path).expect("a file").len();
        let strangers = path.with_file_name(STRANGERS);
        assert!(length(&strangers) + length(&file::old(&strangers)) <= 2 * STRANGERS_FILE_BYTES);
    }

    #[tokio::test]
    async fn recording_never_waits() {
        let state = tempfile::tempdir().expect("a folder");
        let (journal, _writer) = open(&state.path().join("events.jsonl"), nobody()).expect("a journal");

        for _ in 0..=QUEUE {
            journal.record(WEB, What::Up);
        }

        assert_eq!(journal.dropped.load(Ordering::Relaxed), 1);
    }

    fn nobody() -> watch::Receiver<Arc<Inventory>> {
        watch::channel(Arc::new(Inventory::default())).1
    }
}
