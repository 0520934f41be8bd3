//! A client as firmware has it: one file, one port, a timer, and patience for a few tries.

use std::time::{Duration, Instant};

use pxe_proto::tftp::{ErrorCode, Options, Packet, Request};

/// What a client asks for, and how it behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wishes {
    pub(crate) block_size: Option<u16>,
    pub(crate) window: Option<u16>,
    pub(crate) habit: Habit,
}

impl Wishes {
    pub(crate) fn any(self) -> bool {
        self.block_size.is_some() || self.window.is_some()
    }
}

/// How a client deals with what is out of order, and with what comes after the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Acknowledges what it has whenever a block is out of order, as EDK2 does.
    Complains,
    /// Says nothing until its timer rings.
    Waits,
    /// Says nothing, and closes its port when it has the file.
    Leaves,
}

/// A client and what it has received.
#[derive(Debug)]
pub(crate) struct Client {
    wishes: Wishes,
    /// The port that the first answer came from.
    pub(crate) server: Option<usize>,
    block_size: usize,
    window: usize,
    received: u64,
    unacknowledged: usize,
    contents: Vec<u8>,
    complete: bool,
    tries: u32,
    deadline: Instant,
}

/// To whom a client sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To {
    Listener,
    Transfer(usize),
}

impl Client {
    pub(crate) fn new(wishes: Wishes, now: Instant) -> Self {
        Self {
            wishes,
            server: None,
            block_size: 512,
            window: 1,
            received: 0,
            unacknowledged: 0,
            contents: Vec::new(),
            complete: false,
            tries: 0,
            deadline: now + WAIT,
        }
    }

    /// The file, once it is whole.
    pub(crate) fn file(&self) -> Option<&[u8]> {
        self.complete.then_some(&self.contents)
    }

    pub(crate) fn has_closed_its_port(&self) -> bool {
        (self.complete && self.wishes.habit == Habit::Leaves) || self.tries >= TRIES
    }

    /// When it sends again, unless it is done or has lost patience.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        (!self.complete && self.tries < TRIES).then_some(self.deadline)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<(To, Vec<u8>)> {
        self.tries += 1;
        self.deadline = now + WAIT;
        if self.tries >= TRIES {
            return None;
        }
        Some(match self.server {
            None => (To::Listener, self.request()),
            Some(port) => (To::Transfer(port), self.acknowledgement()),
        })
    }

    pub(crate) fn request(&self) -> Vec<u8> {
        let mut options = String::new();
        for (name, value) in [("blksize", self.wishes.block_size), ("windowsize", self.wishes.window)] {
            options.extend(value.map(|value| format!("{name}\0{value}\0")));
        }
        let options = Options::from_wire(options.as_bytes());
        wire(Packet::ReadRequest(Request { name: b"file", mode: b"octet", options }))
    }

    pub(crate) fn handle(&mut self, datagram: &[u8], from: usize, now: Instant) -> Option<Vec<u8>> {
        if self.has_closed_its_port() {
            return None;
        }
        if *self.server.get_or_insert(from) != from {
            return Some(wire(Packet::Error { code: ErrorCode::UNKNOWN_TRANSFER, message: b"" }));
        }
        match Packet::parse(datagram).expect("a server's packet") {
            Packet::OptionAck(agreed) => {
                let number = |name| std::str::from_utf8(agreed.value(name)?).ok()?.parse().ok();
                self.block_size = number("blksize").unwrap_or(512);
                self.window = number("windowsize").unwrap_or(1);
                (self.received == 0).then(|| self.progress(now))
            }
            Packet::Data { block, payload } if !self.complete && block == (self.received + 1) as u16 => {
                self.received += 1;
                self.unacknowledged += 1;
                self.contents.extend_from_slice(payload);
                self.complete = payload.len() < self.block_size;
                self.tries = 0;
                self.deadline = now + WAIT;
                (self.complete || self.unacknowledged == self.window).then(|| self.progress(now))
            }
            // A complete client stays to acknowledge the last block again, as RFC 1350 §6 advises.
            Packet::Data { .. } => {
                let answers = self.complete || self.wishes.habit == Habit::Complains;
                answers.then(|| self.acknowledgement())
            }
            other => panic!("a server does not send {other:?}"),
        }
    }

    fn progress(&mut self, now: Instant) -> Vec<u8> {
        self.tries = 0;
        self.deadline = now + WAIT;
        self.acknowledgement()
    }

    fn acknowledgement(&mut self) -> Vec<u8> {
        self.unacknowledged = 0;
        wire(Packet::Ack { block: self.received as u16 })
    }
}

fn wire(packet: Packet<'_>) -> Vec<u8> {
    let mut buffer = Vec::new();
    packet.write(&mut buffer);
    buffer
}

/// EDK2 waits four seconds and tries six times.
const WAIT: Duration = Duration::from_secs(4);
const TRIES: u32 = 6;
