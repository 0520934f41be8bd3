//! Many TFTP clients on one thread.
//!
//! Each has an address and, for each file, a port of its own, as machines do. One system call takes as much of a window as is
//! there, so that it is the server which sets the pace.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use pxe_proto::tftp::{ErrorCode, Options, Packet, Request};

use crate::bench::burst::{Burst, SLOT};

/// What is to be read.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// Where requests go.
    pub(crate) server: SocketAddr,
    /// The name of the file.
    pub(crate) file: &'static str,
    /// Its length.
    pub(crate) length: u64,
    /// Packets in flight; 1 asks for no window.
    pub(crate) window: u16,
    /// The clients' addresses.
    pub(crate) clients: Vec<Ipv4Addr>,
    /// How often each reads the file, one after the other.
    pub(crate) files_each: usize,
    /// When to break off.
    pub(crate) limit: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    /// Of files.
    pub(crate) bytes: u64,
    /// From the first server's answer until the last byte.
    pub(crate) elapsed: Duration,
    /// Packets that a client had to send again, because nothing came.
    pub(crate) resent: u64,
}

impl Arrived {
    /// In MiB/s.
    pub(crate) fn rate(&self) -> f64 {
        self.bytes as f64 / f64::from(1 << 20) / self.elapsed.as_secs_f64()
    }
}

/// Octets of file in a packet: the most that Ethernet carries in one piece.
pub(crate) const BLOCK_SIZE: u64 = 1468;

/// Reads.
///
/// # Errors
/// A server refuses, breaks the protocol, or sends a file of another length.
pub(crate) fn read(load: &Load) -> Result<Arrived> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let mut burst = Burst::new();
    let mut readers = Vec::new();
    for (number, address) in load.clients.iter().enumerate() {
        readers.push(Reader::ask(load, *address, number, &epoll)?);
    }
    let (mut left, mut bytes, mut resent) = (load.clients.len() * load.files_each, 0, 0);
    let mut files_left = vec![load.files_each - 1; readers.len()];
    let started = Instant::now();
    let (mut first, mut looked) = (None, started);
    let mut events = [EpollEvent::empty(); 128];
    while left > 0 && started.elapsed() < load.limit {
        let ready = epoll.wait(&mut events, EpollTimeout::from(LOOK_MILLISECONDS))?;
        let now = Instant::now();
        for event in &events[..ready] {
            let number = usize::try_from(event.data())?;
            let reader = &mut readers[number];
            let finished = reader.receive(load, &mut burst, now)?;
            first = first.or_else(|| reader.answered.then_some(now));
            if finished {
                ensure!(reader.bytes == load.length, "{} bytes of {}", reader.bytes, load.length);
                bytes += std::mem::take(&mut reader.bytes);
                left -= 1;
                if files_left[number] > 0 {
                    files_left[number] -= 1;
                    *reader = Reader::ask(load, load.clients[number], number, &epoll)?;
                } else {
                    reader.over = true;
                }
            }
        }
        if now - looked > Duration::from_millis(LOOK_MILLISECONDS.into()) {
            looked = now;
            for reader in readers.iter_mut().filter(|reader| !reader.over && now - reader.progressed > PATIENCE) {
                reader.progressed = now;
                reader.send_again()?;
                resent += 1;
            }
        }
    }
    let elapsed = first.context("the server never answered")?.elapsed();
    for reader in readers.iter_mut().filter(|reader| !reader.over) {
        bytes += reader.bytes;
        reader.abort();
    }
    Ok(Arrived { bytes, elapsed, resent })
}

const LOOK_MILLISECONDS: u8 = 100;

/// How long a client waits before it sends its last packet again.
const PATIENCE: Duration = Duration::from_secs(1);

/// A file on its way to one client.
struct Reader {
    socket: UdpSocket,
    server: SocketAddr,
    answered: bool,
    over: bool,
    window: u64,
    /// Blocks that came in order.
    blocks: u64,
    /// The block after which an acknowledgement is due.
    due: u64,
    bytes: u64,
    progressed: Instant,
    /// What was sent last.
    packet: Vec<u8>,
}

impl Reader {
    fn ask(load: &Load, address: Ipv4Addr, number: usize, epoll: &Epoll) -> Result<Self> {
        let socket = UdpSocket::bind((address, 0)).context("a client has no port")?;
        socket.set_nonblocking(true)?;
        // The last socket of this client, which is closed soon, has left the set by then.
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        let mut options = format!("blksize\0{BLOCK_SIZE}\0");
        if load.window > 1 {
            options += &format!("windowsize\0{}\0", load.window);
        }
        let options = Options::from_wire(options.as_bytes());
        let mut packet = Vec::new();
        Packet::ReadRequest(Request { name: load.file.as_bytes(), mode: b"octet", options }).write(&mut packet);
        let reader = Self {
            socket,
            server: load.server,
            answered: false,
            over: false,
            window: 1,
            blocks: 0,
            due: 1,
            bytes: 0,
            progressed: Instant::now(),
            packet,
        };
        reader.send_again()?;
        Ok(reader)
    }

    fn send_again(&self) -> io::Result<()> {
        let sent =
            if self.answered { self.socket.send(&self.packet) } else { self.socket.send_to(&self.packet, self.server) };
        sent.map(drop)
    }

    /// Takes what is there. Returns whether the file is complete.
    fn receive(&mut self, load: &Load, burst: &mut Burst, now: Instant) -> Result<bool> {
        if !self.answered {
            return self.receive_answer(load, now);
        }
        let wanted = usize::try_from(self.due - self.blocks)?;
        let (mut last, mut gap) = (false, false);
        for datagram in burst.receive(&self.socket, wanted)? {
            match Packet::parse(datagram) {
                Ok(Packet::Data { block, payload }) if block == (self.blocks + 1) as u16 => {
                    self.blocks += 1;
                    self.bytes += payload.len() as u64;
                    last |= (payload.len() as u64) < BLOCK_SIZE;
                    self.progressed = now;
                }
                // RFC 7440 §4: what follows a gap is thrown away; what came before it comes late.
                Ok(Packet::Data { block, .. }) => gap |= block.wrapping_sub(self.blocks as u16) < 0x8000,
                Ok(Packet::OptionAck(_)) => {}
                other => bail!("{other:?} amid the file"),
            }
        }
        if last || gap || self.blocks == self.due {
            self.acknowledge()?;
        }
        Ok(last)
    }

    fn receive_answer(&mut self, load: &Load, now: Instant) -> Result<bool> {
        let mut datagram = [0; SLOT];
        let (length, server) = self.socket.recv_from(&mut datagram)?;
        match Packet::parse(&datagram[..length]) {
            Ok(Packet::OptionAck(options)) => {
                let window = options
                    .value("windowsize")
                    .map(|value| std::str::from_utf8(value)?.parse::<u64>().context("no number"));
                self.window = window.transpose()?.unwrap_or(1);
                let size = options.value("blksize").unwrap_or_default();
                ensure!(size == BLOCK_SIZE.to_string().as_bytes(), "a block size of {}", size.escape_ascii());
            }
            other => bail!("the answer to {} is {other:?}", load.file),
        }
        self.socket.connect(server)?;
        (self.answered, self.progressed) = (true, now);
        self.acknowledge()?;
        Ok(false)
    }

    fn acknowledge(&mut self) -> io::Result<()> {
        self.due = self.blocks + self.window;
        Packet::Ack { block: self.blocks as u16 }.write(&mut self.packet);
        self.send_again()
    }

    fn abort(&mut self) {
        Packet::Error { code: ErrorCode::NOT_DEFINED, message: b"enough" }.write(&mut self.packet);
        let _ = self.send_again();
    }
}
