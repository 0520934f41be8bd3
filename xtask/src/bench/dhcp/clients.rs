//! Many DHCP clients on one thread and one socket.
//!
//! They ask for broadcasts, as EDK2 does, so that all answers come to the one socket. What they do next with the answers that are
//! there goes out together. How much faster than a server they are shows a server that decides nothing ([`super::yes`]).

use std::{
    collections::HashMap,
    mem,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{
    frame::{CLIENT_PORT, Sender},
    link::Link,
    message::{self, Answer, Kind, Question},
};
use crate::bench::processor;

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
    /// What the clients themselves took of a processor.
    pub(crate) processor: Duration,
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
    let (begun, processor) = (Instant::now(), processor::this_thread()?);
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
        site.link.flush()?;
        if site.receive()? == 0 {
            site.link.wait(wait)?;
        }
        if looked.elapsed() > LOOK {
            looked = Instant::now();
            site.ask_again(looked)?;
        }
    }
    ensure!(!site.served.latencies.is_empty(), "no client has got an address");
    let processor = processor::this_thread()?.saturating_sub(processor);
    Ok(Served { elapsed: begun.elapsed(), processor, ..site.served })
}

/// Asks until a server makes an offer; the client is none of a load's.
///
/// # Errors
/// It makes none within `limit`.
pub(crate) fn wait_for_offer(limit: Duration) -> Result<()> {
    let mut link = Link::open(INTERFACE, CLIENT_PORT)?;
    let begun = Instant::now();
    while begun.elapsed() < limit {
        send(&mut link, Question::Discover, u32::MAX, u32::MAX)?;
        link.flush()?;
        if link.wait(ASK)? && link.receive()?.filter_map(message::read).next().is_some() {
            return Ok(());
        }
    }
    anyhow::bail!("no offer within {limit:?}")
}

/// The clients' way to the network ([`Site`](crate::bench::site::Site)).
const INTERFACE: &str = "eth0";

/// How often is looked for answers that are late.
const LOOK: Duration = Duration::from_millis(100);
/// How long a client waits before it sends its message again: RFC 2131 §4.1 would have it wait four seconds.
const PATIENCE: Duration = Duration::from_secs(1);
const ASK: Duration = Duration::from_millis(10);

/// More than ever wait for an answer at a fixed pace.
const SEATS: usize = 256;

struct Clients {
    load: Load,
    link: Link,
    /// Those that came last.
    answers: Vec<Answer>,
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
            link: Link::open(INTERFACE, CLIENT_PORT)?,
            answers: Vec::new(),
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
        exchange.send(&mut self.link)?;
        self.seats[seat] = Some(exchange);
        Ok(true)
    }

    /// Takes the answers that are there, and goes on with each; returns how many there were.
    fn receive(&mut self) -> Result<usize> {
        let mut answers = mem::take(&mut self.answers);
        answers.clear();
        answers.extend(self.link.receive()?.filter_map(message::read));
        let now = Instant::now();
        answers.iter().try_for_each(|answer| self.take(*answer, now))?;
        self.answers = answers;
        Ok(self.answers.len())
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
        exchange.send(&mut self.link)
    }

    fn ask_again(&mut self, now: Instant) -> Result<()> {
        for exchange in self.seats.iter_mut().flatten().filter(|exchange| now - exchange.sent > PATIENCE) {
            self.served.unanswered += 1;
            exchange.sent = now;
            exchange.send(&mut self.link)?;
        }
        Ok(())
    }
}

impl Exchange {
    fn send(&self, link: &mut Link) -> Result<()> {
        send(link, self.question, self.client, self.xid)
    }
}

/// A client that has no address yet says so with its own hardware address, as on a wire of its own.
fn send(link: &mut Link, question: Question, client: u32, xid: u32) -> Result<()> {
    let from = Sender { mac: message::mac(client), address: Ipv4Addr::UNSPECIFIED, port: CLIENT_PORT };
    link.send(&from, |octets| message::append(question, client, xid, octets))
}

#[cfg(test)]
mod tests {
    use lab_tests::{BRIDGE, Namespace};

    use super::*;
    use crate::bench::{
        dhcp::{
            frame::SERVER_PORT,
            yes::{self, YES},
        },
        site::Site,
    };

    #[test]
    fn everybody_gets_an_address_of_their_own() {
        let network = Network::new();
        let server = yes::Yes::start();

        let load = Load { clients: 200, exchanges: 500, pace: Pace::Outstanding(100), limit: LIMIT };
        let served = network.site.run(move || ask(&load)).unwrap().unwrap();

        assert_eq!(served.latencies.len(), 500);
        assert_eq!((served.refused, served.duplicates), (0, 0));
        server.stop().unwrap();
    }

    #[test]
    fn what_a_server_does_wrong_is_counted() {
        let network = Network::new();
        let mut server = Link::open(BRIDGE, SERVER_PORT).unwrap();
        let load = Load { clients: 2, exchanges: 2, pace: Pace::Outstanding(1), limit: LIMIT };
        let asked = network.site.begin(move || ask(&load)).unwrap();

        // It does not answer the first message, refuses the first request, and confirms one address to all.
        let (mut messages, mut requests) = (0, 0);
        let served = loop {
            server.wait(LOOK).unwrap();
            let questions = server.receive().unwrap().filter_map(yes::Question::read).collect::<Vec<_>>();
            for mut question in questions {
                messages += 1;
                question.header[33] = 0;
                if question.answer == ACK {
                    requests += 1;
                    question.answer = if requests == 1 { NAK } else { ACK };
                }
                if messages > 1 {
                    server.send(&YES, |octets| question.answer(octets)).unwrap();
                }
            }
            server.flush().unwrap();
            if let Ok(served) = asked.try_recv() {
                break served.unwrap();
            }
        };

        assert_eq!(served.latencies.len(), 2);
        assert_eq!((served.refused, served.duplicates), (1, 1));
        assert_ne!(served.unanswered, 0);
    }

    struct Network {
        site: Site,
        _namespace: Namespace,
    }

    impl Network {
        fn new() -> Self {
            let namespace = Namespace::enter().unwrap();
            Self { site: Site::new(&namespace, &[]).unwrap(), _namespace: namespace }
        }
    }

    const LIMIT: Duration = Duration::from_secs(60);
    /// RFC 2132 §9.6.
    const ACK: u8 = 5;
    const NAK: u8 = 6;
}
