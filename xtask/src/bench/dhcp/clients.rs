//! Many DHCP clients on one thread and one socket.
//!
//! They ask for broadcasts, as EDK2 does, so that all answers come to the one socket, which takes as many as are there with one
//! system call. How much faster than a server they are shows a server that decides nothing ([`super::yes`]).

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, UdpSocket},
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::{
        socket::{setsockopt, sockopt},
        time::TimeSpec,
    },
};

use super::message::{self, Answer, Kind, Question};
use crate::bench::burst::{Burst, SLOTS};

/// Who asks, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// How many clients there are; they ask one after the other, and then again.
    pub(crate) clients: u32,
    /// How often a client gets an address, over all clients.
    pub(crate) exchanges: u32,
    pub(crate) pace: Pace,
    /// When to break off.
    pub(crate) limit: Duration,
}

/// When the next client begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As soon as one of this many at a time has its address.
    Outstanding(usize),
    /// This long after the one before, whatever becomes of that.
    Every(Duration),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Served {
    pub(crate) elapsed: Duration,
    /// From DISCOVER to ACK, in the order in which clients got their addresses.
    pub(crate) latencies: Vec<Duration>,
    /// Messages that were sent again, because no answer came.
    pub(crate) unanswered: u32,
    /// Refusals of what was offered just before; the client begins anew.
    pub(crate) refused: u32,
    /// Addresses that were confirmed to more than one client.
    pub(crate) duplicates: u32,
}

impl Served {
    /// How many clients got an address in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }
}

/// Has clients ask for addresses.
///
/// # Errors
/// The network refuses, or no client ever gets an address.
pub(crate) fn ask(load: &Load) -> Result<Served> {
    let mut site = Clients::new(*load)?;
    let begun = Instant::now();
    let (mut due, mut looked) = (begun, begun);
    while (site.served.latencies.len() as u32) < load.exchanges && begun.elapsed() < load.limit {
        let now = Instant::now();
        let wait = match load.pace {
            Pace::Outstanding(_) => {
                while site.begin(now)? {}
                LOOK
            }
            Pace::Every(pause) => {
                if now >= due && site.begin(now)? {
                    due += pause;
                }
                due.saturating_duration_since(now).min(LOOK)
            }
        };
        site.wait(wait)?;
        site.receive()?;
        if looked.elapsed() > LOOK {
            looked = Instant::now();
            site.ask_again(looked)?;
        }
    }
    ensure!(!site.served.latencies.is_empty(), "no client has got an address");
    Ok(Served { elapsed: begun.elapsed(), ..site.served })
}

/// Asks until a server makes an offer; the client is none of a load's.
///
/// # Errors
/// It makes none within `limit`.
pub(crate) fn wait_for_offer(limit: Duration) -> Result<()> {
    let socket = socket()?;
    let begun = Instant::now();
    while begun.elapsed() < limit {
        send(&socket, &message::write(Question::Discover, u32::MAX, u32::MAX))?;
        let mut waits = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        if ppoll(&mut waits, Some(TimeSpec::from_duration(ASK)), None)? > 0 {
            return Ok(());
        }
    }
    anyhow::bail!("no offer within {limit:?}")
}

/// How often is looked for answers that are late.
const LOOK: Duration = Duration::from_millis(100);
/// How long a client waits before it sends its message again: RFC 2131 §4.1 would have it wait four seconds.
const PATIENCE: Duration = Duration::from_secs(1);
const ASK: Duration = Duration::from_millis(10);

/// Enough for every message that clients send before their turn comes again.
const QUEUE_BYTES: usize = 8 << 20;

/// More than ever wait for an answer at a fixed pace.
const SEATS: usize = 256;

struct Clients {
    load: Load,
    socket: UdpSocket,
    burst: Burst,
    /// Those that wait for an answer; `xid` is the place here, and which exchange it is.
    seats: Vec<Option<Exchange>>,
    free: Vec<usize>,
    begun: u32,
    holders: HashMap<Ipv4Addr, u32>,
    served: Served,
}

/// A client on its way to an address.
struct Exchange {
    client: u32,
    xid: u32,
    begun: Instant,
    /// What was sent last, and when.
    question: Question,
    sent: Instant,
}

impl Clients {
    fn new(load: Load) -> Result<Self> {
        let seats = match load.pace {
            Pace::Outstanding(count) => count,
            Pace::Every(_) => SEATS,
        };
        Ok(Self {
            load,
            socket: socket()?,
            burst: Burst::new(),
            seats: (0..seats).map(|_| None).collect(),
            free: (0..seats).rev().collect(),
            begun: 0,
            holders: HashMap::new(),
            served: Served::default(),
        })
    }

    /// Has the next client begin, where there is one and a seat for it.
    fn begin(&mut self, now: Instant) -> Result<bool> {
        if self.begun == self.load.exchanges {
            return Ok(false);
        }
        let Some(seat) = self.free.pop() else { return Ok(false) };
        let (client, xid) = (self.begun % self.load.clients, self.begun << 8 | seat as u32);
        self.begun += 1;
        let exchange = Exchange { client, xid, begun: now, question: Question::Discover, sent: now };
        exchange.send(&self.socket)?;
        self.seats[seat] = Some(exchange);
        Ok(true)
    }

    /// Waits for an answer.
    fn wait(&self, limit: Duration) -> Result<()> {
        let mut waits = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        ppoll(&mut waits, Some(TimeSpec::from_duration(limit)), None)?;
        Ok(())
    }

    /// Takes the answers that are there, and goes on with each.
    fn receive(&mut self) -> Result<()> {
        let answers: Vec<_> = self.burst.receive(&self.socket, SLOTS)?.filter_map(message::read).collect();
        let now = Instant::now();
        answers.into_iter().try_for_each(|answer| self.take(answer, now))
    }

    fn take(&mut self, Answer { kind, xid, address, server }: Answer, now: Instant) -> Result<()> {
        let seat = (xid & 0xff) as usize;
        // What comes twice, or late, is for nobody.
        let Some(exchange) = self.seats.get_mut(seat).and_then(Option::as_mut).filter(|waits| waits.xid == xid) else {
            return Ok(());
        };
        exchange.question = match (exchange.question, kind) {
            (Question::Discover, Kind::Offer) => Question::Request { address, server },
            (Question::Request { .. }, Kind::Nak) => {
                self.served.refused += 1;
                Question::Discover
            }
            (Question::Request { .. }, Kind::Ack) => {
                let client = exchange.client;
                self.served.latencies.push(now - exchange.begun);
                let before = self.holders.insert(address, client);
                self.served.duplicates += u32::from(before.is_some_and(|before| before != client));
                self.seats[seat] = None;
                self.free.push(seat);
                if matches!(self.load.pace, Pace::Outstanding(_)) {
                    self.begin(now)?;
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        exchange.sent = now;
        exchange.send(&self.socket)
    }

    fn ask_again(&mut self, now: Instant) -> Result<()> {
        for exchange in self.seats.iter_mut().flatten().filter(|exchange| now - exchange.sent > PATIENCE) {
            self.served.unanswered += 1;
            exchange.sent = now;
            exchange.send(&self.socket)?;
        }
        Ok(())
    }
}

impl Exchange {
    fn send(&self, socket: &UdpSocket) -> Result<()> {
        send(socket, &message::write(self.question, self.client, self.xid))
    }
}

fn socket() -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68)).context("clients cannot have port 68")?;
    socket.set_broadcast(true)?;
    // Beyond what the system allows everybody, where that is possible.
    setsockopt(&socket, sockopt::RcvBufForce, &QUEUE_BYTES)
        .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &QUEUE_BYTES))?;
    Ok(socket)
}

fn send(socket: &UdpSocket, message: &[u8]) -> Result<()> {
    match socket.send_to(message, (Ipv4Addr::BROADCAST, 67)) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error).context("a client cannot send"),
        Ok(_) | Err(_) => Ok(()),
    }
}
