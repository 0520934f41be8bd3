//! A network between one server and one client, which does to each datagram what the test says.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use pxe_proto::tftp::{Action, Admission, Limits, Outcome, ReadRequest, Transfer, admit};

use crate::client::{Client, To, Wishes};

/// What happens to a datagram: a copy of it arrives after each of these delays, in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Fate {
    pub(crate) delays: Vec<u64>,
}

impl Fate {
    pub(crate) fn arrives(delay: u64) -> Self {
        Self { delays: vec![delay] }
    }

    pub(crate) fn lost() -> Self {
        Self { delays: Vec::new() }
    }
}

/// Everything there is: a clock, a network, a client, and a server with one transfer at a time.
pub(crate) struct World {
    pub(crate) file: Vec<u8>,
    pub(crate) client: Client,
    /// How the transfers ended, in order.
    pub(crate) outcomes: Vec<Outcome>,
    /// How many datagrams the server has sent.
    pub(crate) from_server: u64,
    wishes: Wishes,
    transfer: Option<Transfer<Vec<u8>>>,
    started: Instant,
    now: Instant,
    /// Datagrams on their way, by the time of their arrival.
    flying: BTreeMap<(Instant, u64), (End, Vec<u8>)>,
    fates: std::iter::Cycle<std::vec::IntoIter<Fate>>,
    /// From then on every datagram arrives after a millisecond.
    well_from: Option<Instant>,
    datagrams: u64,
}

/// Where a datagram goes. Transfers have ports, which are their numbers.
#[derive(Debug)]
enum End {
    Listener,
    Transfer(usize),
    Client { from: usize },
}

impl World {
    /// The client's request is on its way. The fates are dealt in turn, until the network gets well.
    pub(crate) fn new(length: usize, wishes: Wishes, fates: Vec<Fate>, bad_for: Duration) -> Self {
        let now = epoch();
        let client = Client::new(wishes, now);
        let request = client.request();
        let mut world = Self {
            file: (0..length).map(|at| (at * 7 + at / 251) as u8).collect(),
            client,
            outcomes: Vec::new(),
            from_server: 0,
            wishes,
            transfer: None,
            started: now,
            now,
            flying: BTreeMap::new(),
            fates: fates.into_iter().cycle(),
            well_from: now.checked_add(bad_for),
            datagrams: 0,
        };
        world.fly(End::Listener, request);
        world
    }

    /// Lets everything happen that will.
    pub(crate) fn run(&mut self) {
        for _ in 0..STEPS_MAX {
            let arrival = self.flying.first_key_value().map(|(&(at, _), _)| at);
            let server = self.transfer.as_ref().map(Transfer::poll_timeout);
            let client = self.client.poll_timeout();
            let Some(next) = [arrival, server, client].into_iter().flatten().min() else { return };
            assert!(next >= self.now, "time stands still or runs on");
            self.now = next;

            if arrival == Some(next) {
                let (_, (end, datagram)) = self.flying.pop_first().expect("what arrives now");
                self.arrive(end, &datagram);
            } else if server == Some(next) {
                let action = self.transfer.as_mut().expect("a transfer with a timeout").handle_timeout(next);
                self.act(action);
            } else if let Some((to, datagram)) = self.client.handle_timeout(next) {
                self.client_sends(to, datagram);
            }
        }
        panic!("it never ends: {self}");
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.started
    }

    /// How many DATA packets the file takes.
    pub(crate) fn blocks(&self) -> u64 {
        (self.file.len() / usize::from(self.wishes.block_size.unwrap_or(512).min(1468))) as u64 + 1
    }

    /// How many times something can move on: each block, each transfer's begin and end.
    pub(crate) fn steps_of_progress(&self) -> u32 {
        self.blocks() as u32 + 2 * self.outcomes.len() as u32 + 2
    }

    fn arrive(&mut self, end: End, datagram: &[u8]) {
        match end {
            End::Listener => {
                let Admission::Read(request) = admit(datagram) else { panic!("a read request") };
                self.request(request);
            }
            End::Transfer(port) if port == self.outcomes.len() => {
                if let Some(transfer) = &mut self.transfer {
                    let action = transfer.handle(datagram, self.now);
                    self.act(action);
                }
            }
            End::Transfer(_) => {}
            End::Client { from } => {
                if self.client.has_closed_its_port() && from == self.outcomes.len() {
                    if let Some(transfer) = &mut self.transfer {
                        let action = transfer.handle_unreachable();
                        self.act(action);
                    }
                } else if let Some(answer) = self.client.handle(datagram, from, self.now) {
                    self.client_sends(To::Transfer(from), answer);
                }
            }
        }
    }

    /// What the server's listener does.
    fn request(&mut self, request: ReadRequest) {
        if let Some(transfer) = &mut self.transfer {
            let action = transfer.handle_request(&request, self.now);
            self.act(action);
        }
        if self.transfer.is_none() {
            self.transfer = Some(Transfer::start(request, self.file.clone(), Limits::default(), self.now));
            self.act(Action::Send);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send => {
                let mut packet = Vec::new();
                while self.transfer.as_mut().is_some_and(|transfer| transfer.next_packet(&mut packet)) {
                    self.from_server += 1;
                    self.fly(End::Client { from: self.outcomes.len() }, packet.clone());
                }
            }
            Action::Ignore(_) => {}
            Action::End(outcome) => {
                self.transfer = None;
                self.outcomes.push(outcome);
            }
        }
    }

    fn client_sends(&mut self, to: To, datagram: Vec<u8>) {
        let end = match to {
            To::Listener => End::Listener,
            To::Transfer(port) => End::Transfer(port),
        };
        self.fly(end, datagram);
    }

    fn fly(&mut self, end: End, datagram: Vec<u8>) {
        let well = self.well_from.is_some_and(|from| self.now >= from);
        let fate = if well { Fate::arrives(1) } else { self.fates.next().expect("a cycle of fates") };
        for delay in fate.delays {
            let end = match end {
                End::Listener => End::Listener,
                End::Transfer(port) => End::Transfer(port),
                End::Client { from } => End::Client { from },
            };
            self.datagrams += 1;
            self.flying.insert((self.now + Duration::from_millis(delay), self.datagrams), (end, datagram.clone()));
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "after {:?}: outcomes {:?}, {} datagrams from the server for {} blocks, client {}",
            self.elapsed(),
            self.outcomes,
            self.from_server,
            self.blocks(),
            if self.client.file().is_some() { "has the file" } else { "has no file" },
        )
    }
}

#[expect(clippy::disallowed_methods, reason = "an instant comes from nowhere else; the tests only count from it")]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}

/// Far more than any exchange here takes.
const STEPS_MAX: u32 = 1_000_000;
