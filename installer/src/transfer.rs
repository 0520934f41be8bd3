//! The image's way to the disk: several workers, each of which fetches a chunk, verifies, decompresses and writes it.
//!
//! While one waits for the network or the disk, another one decompresses. Nothing is written that has not been verified, and
//! what is on the disk is recorded there now and then, so that neither a failure nor a power cut costs what was done.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use lab_model::{Phase, Placed, RemoteDisk, Sha256};
use sha2::Digest;
use ureq::Agent;
use zstd::bulk::Decompressor;

use crate::install::Failure;
use crate::partition::Layout;
use crate::record::{Done, Record, Recorder};
use crate::{Block, Device, Download, Patience, Table, write};

/// Where the image is, and how to get it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The image.
    pub image: &'a RemoteDisk,
    /// Its chunks.
    pub table: &'a Table,
    /// The HTTP client.
    pub agent: &'a Agent,
    /// How long the server may be away.
    pub patience: Patience,
}

/// Brings chunks from the server into memory.
pub struct Fetcher<'a> {
    source: Source<'a>,
    decompressor: Decompressor<'static>,
    frame: Vec<u8>,
    /// How many bytes came over the network.
    pub fetched: u64,
}

impl<'a> Fetcher<'a> {
    /// For the image at `source`.
    ///
    /// # Errors
    /// There is no memory for a decompressor.
    pub fn new(source: Source<'a>) -> Result<Self> {
        let decompressor = Decompressor::new().context("cannot start the decompressor")?;
        Ok(Self { source, decompressor, frame: Vec::new(), fetched: 0 })
    }

    /// Fetches a chunk, verifies it, and decompresses it into `block`, which gets its length.
    ///
    /// # Errors
    /// It cannot be had, or is not what the table says.
    pub fn chunk(&mut self, chunk: &Placed, block: &mut Block) -> Result<(), Failure> {
        self.verified(chunk)?;
        block.resize(chunk.length as usize);
        let length = self.decompressor.decompress_to_buffer(&self.frame, &mut block[..]);
        let length = length.with_context(|| format!("cannot decompress the chunk at byte {}", chunk.file_at));
        match length.map_err(Failure::of(Phase::Write))? {
            length if length == block.len() => Ok(()),
            length => Err(self.mismatch(chunk, &format!("{} bytes of disk, found {length}", chunk.length))),
        }
    }

    fn verified(&mut self, chunk: &Placed) -> Result<(), Failure> {
        let mut earlier = None;
        loop {
            self.fetch(chunk).map_err(Failure::of(Phase::Write))?;
            let found = Sha256(sha2::Sha256::digest(&self.frame).into());
            if found == chunk.chunk.sha256 {
                return Ok(());
            }
            // Another one each time: bits flip on the way. The same one again: the server has it so.
            if earlier.replace(found) == Some(found) {
                return Err(self.mismatch(chunk, &format!("SHA-256 {}, found {found}", chunk.chunk.sha256)));
            }
        }
    }

    fn fetch(&mut self, chunk: &Placed) -> Result<()> {
        let Source { image, agent, patience, .. } = self.source;
        let range = chunk.file_at..chunk.file_at + u64::from(chunk.chunk.size);
        let mut download = Download::part(agent, &image.url, image.size, range, patience);
        self.frame.resize(chunk.chunk.size as usize, 0);
        let mut at = 0;
        while at < self.frame.len() {
            match download.read(&mut self.frame[at..])? {
                0 => bail!("{}: the server sent too little", image.url),
                length => at += length,
            }
        }
        self.fetched += at as u64;
        Ok(())
    }

    fn mismatch(&self, chunk: &Placed, what: &str) -> Failure {
        let reason = format!(
            "{}: expected {what} in the chunk at byte {}; the image on the server is damaged or was replaced: find out by \
             `pxe-server check` there, and put it there anew",
            self.source.image.url, chunk.file_at
        );
        Failure { phase: Phase::Verify, reason }
    }
}

/// What the workers share.
struct Shared<'a, P> {
    source: Source<'a>,
    layout: &'a Layout,
    state: Mutex<State<P>>,
    /// Held by the worker that records; the others do not wait for it.
    recorder: Mutex<Recorder>,
}

struct State<P> {
    /// The first chunk that nobody has taken.
    next: usize,
    done: Done,
    /// How much of the disk is done, in bytes.
    bytes: u64,
    unrecorded: u64,
    fetched: u64,
    failure: Option<Failure>,
    progress: P,
}

/// Some chunks that one worker does at once: one with data, or a row of zeros.
enum Work {
    Data(usize),
    Zeros(Range<usize>),
}

/// Brings all chunks to the disk but those that are `done`; `progress` is called with the bytes that are. Returns how many
/// bytes were fetched.
///
/// # Errors
/// A chunk cannot be had, is not what the table says, or the disk does not take it. What is on the disk then is recorded there.
pub fn run(
    source: Source<'_>,
    layout: &Layout,
    device: &mut Device,
    done: Done,
    progress: impl FnMut(u64) + Send,
) -> Result<u64, Failure> {
    let bytes = source.table.length(&done);
    let state = State { next: 0, done, bytes, unrecorded: 0, fetched: 0, failure: None, progress };
    let recorder = Mutex::new(Recorder::new(device.size()));
    let shared = Shared { source, layout, state: Mutex::new(state), recorder };
    shared.record(device).map_err(Failure::of(Phase::Write))?;
    let devices: Result<Vec<_>> = (0..workers(source.image.chunk_size)).map(|_| device.again()).collect();
    let devices = devices.map_err(Failure::of(Phase::Write))?;
    thread::scope(|scope| {
        for mut device in devices {
            let shared = &shared;
            scope.spawn(move || {
                if let Err(failure) = shared.work(&mut device) {
                    // The first to fail is the one to be named; the others end at their next chunk.
                    shared.state().failure.get_or_insert(failure);
                }
            });
        }
    });
    let recorded = shared.record(device);
    let state = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.failure {
        Some(failure) => Err(failure),
        None => recorded.map(|()| state.fetched).map_err(Failure::of(Phase::Write)),
    }
}

impl<P: FnMut(u64)> Shared<'_, P> {
    fn work(&self, device: &mut Device) -> Result<(), Failure> {
        let chunks = &self.source.table.chunks;
        let mut fetcher = Fetcher::new(self.source).map_err(Failure::of(Phase::Write))?;
        let mut block = Block::zeroed(self.source.image.chunk_size as usize);
        while let Some(work) = self.take() {
            let range = match work {
                Work::Data(at) => {
                    fetcher.chunk(&chunks[at], &mut block)?;
                    write::image(device, self.layout, &mut block, chunks[at].at).map_err(Failure::of(Phase::Write))?;
                    at..at + 1
                }
                Work::Zeros(range) => {
                    let length = chunks[range.clone()].iter().map(|chunk| u64::from(chunk.length)).sum();
                    let at = chunks[range.start].at;
                    write::zeros(device, self.layout, length, at).map_err(Failure::of(Phase::Write))?;
                    range
                }
            };
            if self.finished(range, std::mem::take(&mut fetcher.fetched)) {
                self.record(device).map_err(Failure::of(Phase::Write))?;
            }
        }
        Ok(())
    }

    /// The next thing to do; `None` when there is none, or when another worker has failed.
    fn take(&self) -> Option<Work> {
        let chunks = &self.source.table.chunks;
        let mut state = self.state();
        if state.failure.is_some() {
            return None;
        }
        let open = |at: &usize| !state.done.contains(*at);
        let first = (state.next..chunks.len()).find(open)?;
        let zero = |at: &usize| chunks[*at].chunk.zero && open(at);
        let work = if zero(&first) {
            let most = chunks.len().min(first + ZEROS_AT_ONCE / self.source.image.chunk_size as usize);
            Work::Zeros(first..first + (first..most).take_while(zero).count())
        } else {
            Work::Data(first)
        };
        state.next = match &work {
            Work::Data(at) => at + 1,
            Work::Zeros(range) => range.end,
        };
        Some(work)
    }

    /// Counts chunks that are written; whether it is time to record them.
    fn finished(&self, range: Range<usize>, fetched: u64) -> bool {
        let mut state = self.state();
        for at in range {
            state.done.insert(at);
            let length = u64::from(self.source.table.chunks[at].length);
            state.bytes += length;
            state.unrecorded += length;
        }
        state.fetched += fetched;
        let bytes = state.bytes;
        (state.progress)(bytes);
        state.unrecorded >= RECORD_EVERY
    }

    /// Brings what is written to the medium, and records it there.
    fn record(&self, device: &mut Device) -> Result<()> {
        let Ok(mut recorder) = self.recorder.try_lock() else { return Ok(()) };
        let done = {
            let mut state = self.state();
            state.unrecorded = 0;
            state.done.clone()
        };
        device.flush()?;
        recorder.write(device, &Record { image: self.source.table.digest, done })
    }

    fn state(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many workers: one more than there are processors, so that none is idle while a worker waits, as far as memory allows.
fn workers(chunk_size: u32) -> usize {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    // A worker holds a chunk twice: as it was sent, and as it is on the disk.
    let affordable = MEMORY / (2 * chunk_size as usize);
    (processors + 1).min(affordable).clamp(1, WORKERS_MAX)
}

/// What all workers together may hold.
const MEMORY: usize = 40 << 20;

/// More connections than this help nobody: one machine's disk is the limit, and other machines want the server too.
const WORKERS_MAX: usize = 8;

/// As much is lost at most, when the power fails.
const RECORD_EVERY: u64 = 64 << 20;

/// As many bytes of zeros are asked of the disk in one go.
const ZEROS_AT_ONCE: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_what_memory_there_is() {
        assert_eq!(workers(16 << 20), 1);
        assert!((2..=5).contains(&workers(4 << 20)));
    }
}
