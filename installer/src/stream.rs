//! The image's way from the network to whoever writes it: fetch and hash, decompress, write, each on its own thread.
//!
//! Decompression takes longest, so it has a thread to itself; the queues between the threads are short, and a slow disk
//! slows the network down instead of filling memory.

use std::io::{self, BufRead, Read};
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context, Result, bail};
use lab_model::Sha256;
use sha2::Digest;

use crate::fetch::FetchError;
use crate::size::Size;
use crate::{Block, Download};

/// Fetches and decompresses an image of `raw_size` bytes, and calls `write` with one [`Block`] after the other.
///
/// Returns what the compressed file hashes to: whether that is right is for the caller to say, before anything can boot.
///
/// # Errors
/// The file cannot be fetched, is no zstd stream, is not as long as it should be, or `write` failed.
pub fn run(download: Download<'_>, raw_size: u64, mut write: impl FnMut(&mut Block) -> Result<()>) -> Result<Sha256> {
    let (chunks, compressed) = sync_channel(CHUNKS_WAITING);
    let (spent, unused_chunks) = channel();
    let (blocks, decompressed) = sync_channel(BLOCKS_WAITING);
    let (written, unused_blocks) = channel();
    thread::scope(|scope| {
        let fetching = scope.spawn(move || fetch(download, &chunks, &unused_chunks));
        let compressed = Compressed { chunks: compressed, spent, current: Vec::new(), at: 0 };
        let decoding = scope.spawn(move || decode(compressed, raw_size, &blocks, &unused_blocks));
        let writing: Result<()> = (|| {
            for mut block in &decompressed {
                write(&mut block)?;
                let _ = written.send(block);
            }
            Ok(())
        })();
        // Whoever fails drops its queues, and that ends the others: the first to fail is the one to be named.
        drop(decompressed);
        let decoded = join(decoding);
        let fetched = join(fetching);
        writing?;
        let digest = match fetched {
            Ok(Some(digest)) => digest,
            Ok(None) => return Err(decoded.err().context("the decompressor ended early")?),
            Err(error) => return Err(error.into()),
        };
        decoded.map(|()| digest)
    })
}

/// Fetches and hashes; `None` when nobody takes the bytes any more.
fn fetch(
    mut download: Download<'_>,
    chunks: &SyncSender<Vec<u8>>,
    unused: &Receiver<Vec<u8>>,
) -> Result<Option<Sha256>, FetchError> {
    let mut hash = sha2::Sha256::new();
    loop {
        let mut chunk = unused.try_recv().unwrap_or_default();
        chunk.resize(CHUNK, 0);
        let length = download.read(&mut chunk)?;
        if length == 0 {
            return Ok(Some(Sha256(hash.finalize().into())));
        }
        chunk.truncate(length);
        hash.update(&chunk);
        if chunks.send(chunk).is_err() {
            return Ok(None);
        }
    }
}

fn decode(compressed: Compressed, raw_size: u64, blocks: &SyncSender<Block>, unused: &Receiver<Block>) -> Result<()> {
    let mut decoder = zstd::Decoder::with_buffer(compressed).context("cannot start the decompressor")?;
    decoder.window_log_max(WINDOW_LOG_MAX).context("cannot bound the decompressor's memory")?;
    let mut total = 0;
    loop {
        let mut block = unused.try_recv().unwrap_or_else(|_| Block::zeroed());
        let length = fill(&mut decoder, &mut block).with_context(|| {
            format!("cannot decompress the image at {}; expected zstd with a window of at most 8 MiB", Size(total))
        })?;
        total += length as u64;
        if total > raw_size {
            bail!("the image is longer than its manifest says: expected {raw_size} bytes");
        }
        if length == 0 && total < raw_size {
            bail!("the image is shorter than its manifest says: expected {raw_size} bytes, it has {total}");
        }
        // Nobody takes blocks any more: the writer failed, and will say why.
        if length == 0 || blocks.send(block).is_err() {
            return Ok(());
        }
    }
}

/// Fills a block to its brim, or to the stream's end, and returns its length.
fn fill(decoder: &mut impl Read, block: &mut Block) -> io::Result<usize> {
    block.resize(Block::SIZE);
    let mut length = 0;
    while length < Block::SIZE {
        match decoder.read(&mut block[length..])? {
            0 => break,
            more => length += more,
        }
    }
    block.resize(length);
    Ok(length)
}

/// The compressed stream as it comes out of the queue.
struct Compressed {
    chunks: Receiver<Vec<u8>>,
    spent: Sender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
}

impl BufRead for Compressed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.current.len() {
            let next = self.chunks.recv().unwrap_or_default();
            let _ = self.spent.send(std::mem::replace(&mut self.current, next));
            self.at = 0;
        }
        Ok(&self.current[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl Read for Compressed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

const CHUNK: usize = 128 * 1024;

const CHUNKS_WAITING: usize = 8;

const BLOCKS_WAITING: usize = 4;

/// RFC 8878 §3.1.1.1.2: every decoder should take windows of 8 MiB; this one takes no larger ones, for the sake of its memory.
const WINDOW_LOG_MAX: u32 = 23;
