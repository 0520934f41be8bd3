//! A longer way between a TFTP client and its server: every datagram takes a constant time more.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::{prctl, time::TimeSpec},
};

/// Passes the datagrams of one client at a time on, until this is dropped.
pub(super) struct Relay {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Relay {
    /// A way to `server` that takes `delay` in each direction, from an address of this host.
    ///
    /// # Errors
    /// The address is none of this host's.
    pub(super) fn start(server: SocketAddr, address: Ipv4Addr, delay: Duration) -> Result<Self> {
        let requests = open(address)?;
        let (near, ended) = (requests.local_addr()?, Arc::<AtomicBool>::default());
        let way = Way {
            address,
            delay,
            requests,
            server,
            upstream: open(address)?,
            downstream: open(address)?,
            client: None,
            peer: None,
        };
        let over = ended.clone();
        let thread = Some(thread::spawn(move || way.run(&over)));
        Ok(Self { address: near, ended, thread })
    }

    /// Where clients find the server.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Sends everything back where it came from, until this is dropped: what a way takes by itself.
pub(super) struct Echo {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Echo {
    /// Answers at any free port of this address.
    ///
    /// # Errors
    /// The address is none of this host's.
    pub(super) fn start(address: Ipv4Addr) -> Result<Self> {
        let socket = UdpSocket::bind((address, 0))?;
        socket.set_read_timeout(Some(LOOK_UP))?;
        let echo = Self { address: socket.local_addr()?, ended: Arc::default() };
        let over = echo.ended.clone();
        thread::spawn(move || {
            let mut datagram = [0; 2048];
            while !over.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut datagram) {
                    let _ = socket.send_to(&datagram[..length], from);
                }
            }
        });
        Ok(echo)
    }

    /// Where it answers.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// How long a packet of this length takes to an [`Echo`] and back: the middle one of many.
///
/// # Errors
/// There is no answer.
pub(super) fn round_trip(to: SocketAddr, from: Ipv4Addr, length: usize) -> Result<Duration> {
    let socket = UdpSocket::bind((from, 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let (mut datagram, mut to, mut round_trips) = (vec![0; length], to, Vec::new());
    for _ in 0..21 {
        let sent = Instant::now();
        socket.send_to(&datagram, to)?;
        // From here on it answers from another port, as a transfer does.
        to = socket.recv_from(&mut datagram).context("no echo")?.1;
        round_trips.push(sent.elapsed());
    }
    round_trips.sort();
    Ok(round_trips[round_trips.len() / 2])
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(Ok(Err(error))) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the relay: {error:#}");
        }
    }
}

struct Way {
    address: Ipv4Addr,
    delay: Duration,
    /// Where requests come in.
    requests: UdpSocket,
    server: SocketAddr,
    /// Speaks to the server, as if it were the client.
    upstream: UdpSocket,
    /// Speaks to the client, as if it were the transfer.
    downstream: UdpSocket,
    client: Option<SocketAddr>,
    /// The transfer's own port.
    peer: Option<SocketAddr>,
}

/// A datagram under way.
struct Passing {
    due: Instant,
    to: Side,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Side {
    Client,
    Server,
}

impl Way {
    fn run(mut self, ended: &AtomicBool) -> Result<()> {
        // Or the kernel wakes this thread 50 µs late, which is 2 % of a way of 2.5 ms.
        prctl::set_timerslack(1).context("cannot ask to be woken in time")?;
        let mut queue = VecDeque::<Passing>::new();
        while !ended.load(Ordering::Relaxed) {
            self.await_something(queue.front().map(|first| first.due))?;
            let due = Instant::now() + self.delay;
            while let Some((bytes, client)) = receive(&self.requests)? {
                // A new transfer: what the last one still says must not get into it.
                (self.upstream, self.downstream) = (open(self.address)?, open(self.address)?);
                (self.client, self.peer) = (Some(client), None);
                queue.push_back(Passing { due, to: Side::Server, bytes });
            }
            while let Some((bytes, peer)) = receive(&self.upstream)? {
                self.peer = Some(peer);
                queue.push_back(Passing { due, to: Side::Client, bytes });
            }
            while let Some((bytes, _)) = receive(&self.downstream)? {
                queue.push_back(Passing { due, to: Side::Server, bytes });
            }
            while queue.front().is_some_and(|first| first.due <= Instant::now()) {
                queue.pop_front().into_iter().for_each(|datagram| self.pass_on(&datagram));
            }
        }
        Ok(())
    }

    fn await_something(&self, due: Option<Instant>) -> Result<()> {
        let sockets = [&self.requests, &self.upstream, &self.downstream];
        let mut polled = sockets.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
        let most = due.map_or(LOOK_UP, |due| due.saturating_duration_since(Instant::now()));
        ppoll(&mut polled, Some(TimeSpec::from_duration(most)), None)?;
        Ok(())
    }

    fn pass_on(&self, datagram: &Passing) {
        // What cannot be sent is lost, as on any way: the peers see to it.
        let _ = match datagram.to {
            Side::Client => self.client.map(|client| self.downstream.send_to(&datagram.bytes, client)),
            Side::Server => Some(self.upstream.send_to(&datagram.bytes, self.peer.unwrap_or(self.server))),
        };
    }
}

/// How often to look whether it is over.
const LOOK_UP: Duration = Duration::from_millis(20);

fn open(address: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((address, 0))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn receive(socket: &UdpSocket) -> io::Result<Option<(Vec<u8>, SocketAddr)>> {
    let mut datagram = [0; 2048];
    match socket.recv_from(&mut datagram) {
        Ok((length, from)) => Ok(Some((datagram[..length].to_vec(), from))),
        // A port that is closed already says so here.
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_arrives_by_the_longer_way_and_so_does_the_answer() {
        let (server, client) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let delay = Duration::from_millis(5);
        let relay = Relay::start(server.local_addr().unwrap(), Ipv4Addr::LOCALHOST, delay).unwrap();
        let mut datagram = [0; 16];

        let started = Instant::now();
        client.send_to(b"request", relay.address()).unwrap();
        let (length, from) = server.recv_from(&mut datagram).unwrap();
        assert_eq!(&datagram[..length], b"request");
        server.send_to(b"answer", from).unwrap();
        let (length, from) = client.recv_from(&mut datagram).unwrap();

        assert_eq!(&datagram[..length], b"answer");
        assert_ne!(from, relay.address(), "from a port of the transfer's own");
        assert!(started.elapsed() >= 2 * delay);
    }

    #[test]
    fn a_round_trip_takes_both_ways() {
        let echo = Echo::start(Ipv4Addr::LOCALHOST).unwrap();
        let relay = Relay::start(echo.address(), Ipv4Addr::LOCALHOST, Duration::from_millis(2)).unwrap();

        let round_trip = round_trip(relay.address(), Ipv4Addr::LOCALHOST, 100).unwrap();

        assert!(round_trip >= Duration::from_millis(4));
    }
}
