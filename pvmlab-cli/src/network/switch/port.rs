//! One machine's end: what it sent and is no whole frame yet, and what it has not read yet. Both are bounded.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use lab_model::MacAddr;

/// A machine that is plugged in.
#[derive(Debug)]
pub(crate) struct Port {
    stream: UnixStream,
    /// What came: whole frames are taken from `taken` on, and `filled` is where the next bytes go.
    input: Box<[u8]>,
    taken: usize,
    filled: usize,
    output: Vec<u8>,
    sent: usize,
    /// Frames that this machine was too slow for.
    pub(crate) dropped: u64,
}

/// An Ethernet frame without preamble and checksum; at least a whole header long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a>(&'a [u8]);

/// Why a port is closed.
#[derive(Debug)]
pub(crate) enum Closed {
    /// The machine is gone.
    Gone,
    /// It announced a frame of a length that no frame has; what follows cannot be told apart any more.
    Length(usize),
    /// The system reported something.
    Failed(io::Error),
}

impl Port {
    /// # Errors
    /// The system refuses.
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let input = vec![0; INPUT_SIZE].into_boxed_slice();
        Ok(Self { stream, input, taken: 0, filled: 0, output: Vec::new(), sent: 0, dropped: 0 })
    }

    /// Reads once: what is there, as far as there is room.
    ///
    /// # Errors
    /// The machine is gone.
    pub(crate) fn receive(&mut self) -> Result<(), Closed> {
        self.input.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => Err(Closed::Gone),
            Ok(length) => {
                self.filled += length;
                Ok(())
            }
            Err(error) => again(error),
        }
    }

    /// The next whole frame of what was read; `None`: the rest is still to come.
    ///
    /// # Errors
    /// There is no frame of the length announced.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame<'_>>, Closed> {
        let rest = &self.input[self.taken..self.filled];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH_SIZE>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if !(HEADER_SIZE..=MAX_FRAME).contains(&length) {
            return Err(Closed::Length(length));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let start = self.taken + LENGTH_SIZE;
        self.taken = start + length;
        Ok(Some(Frame(&self.input[start..self.taken])))
    }

    /// Queues a frame, or drops it where the machine has not read what is queued: it is late, never the others.
    pub(crate) fn queue(&mut self, frame: Frame<'_>) {
        let waiting = self.output.len() - self.sent;
        if waiting + LENGTH_SIZE + frame.0.len() > MAX_QUEUE {
            self.dropped += 1;
            return;
        }
        let length = u32::try_from(frame.0.len()).expect("a frame has at most MAX_FRAME bytes");
        self.output.extend_from_slice(&length.to_be_bytes());
        self.output.extend_from_slice(frame.0);
    }

    /// Sends what the machine takes now.
    ///
    /// # Errors
    /// The machine is gone.
    pub(crate) fn send(&mut self) -> Result<(), Closed> {
        while self.has_output() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => again(error)?,
            }
        }
        if !self.has_output() {
            self.output.clear();
            self.sent = 0;
        } else if self.sent > MAX_QUEUE / 2 {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
        Ok(())
    }

    /// Whether the machine has something to read still.
    pub(crate) fn has_output(&self) -> bool {
        self.sent < self.output.len()
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Frame<'_> {
    /// Whom it is for.
    pub(crate) fn destination(self) -> MacAddr {
        MacAddr::new(self.0[..6].try_into().expect("a frame has a whole header"))
    }

    /// Who sent it.
    pub(crate) fn source(self) -> MacAddr {
        MacAddr::new(self.0[6..12].try_into().expect("a frame has a whole header"))
    }
}

fn again(error: io::Error) -> Result<(), Closed> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Err(Closed::Gone),
        _ => Err(Closed::Failed(error)),
    }
}

/// Each frame follows its length.
const LENGTH_SIZE: usize = 4;

/// Destination, source and type (IEEE 802.3 §3.1.1).
const HEADER_SIZE: usize = 14;

/// QEMU's own limit: `NET_BUFSIZE` of its `include/net/net.h`.
pub(crate) const MAX_FRAME: usize = 4096 + 65536;

/// Room for the longest frame, and for many usual ones in one read.
const INPUT_SIZE: usize = 256 << 10;

/// 700 full frames of 1,500 bytes, as the queue of an ordinary switch's port.
pub(crate) const MAX_QUEUE: usize = 1 << 20;
