//! The decisions.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use domain::base::Message;
use domain::base::iana::Rcode;
use lab_model::{DnsCounts, Ipv4Net, Ipv6Net};

use super::answer::Answer;
use super::ask::{Ask, Transport};
use super::block::Block;
use super::cache::{Cache, Key};
use super::pending::{Pending, Waiter};
use super::query::{Query, Rejection};
use super::rates::Rates;
use super::upstreams::{Plan, Upstreams};
use super::{Zone, reply, special};

/// What the engine is told by its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The networks whose hosts are answered.
    pub networks: Vec<Ipv4Net>,
    /// The same for IPv6.
    pub ipv6: Option<Ipv6Net>,
    /// How many questions one client may ask a second.
    pub queries_per_second: u32,
}

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// From where.
    pub address: IpAddr,
    /// By what.
    pub transport: Transport,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<T> {
    /// Send this message to whom the caller knows by this.
    Reply(T, Vec<u8>),
    /// Ask another name server.
    Ask(Ask),
}

/// Answers clients. `T` is what the caller knows each of them by until the answer is there; who is to get none is dropped.
#[derive(Debug)]
pub struct Engine<T> {
    clients: Vec<Block>,
    zone: Zone,
    upstreams: Upstreams,
    cache: Cache,
    rates: Rates,
    pending: BTreeMap<u64, Pending<T>>,
    next: u64,
    counts: DnsCounts,
}

/// How many questions may be on their way to others at a time, each with a socket of its own.
const PENDING: usize = 256;

/// How many one client may wait for: it cannot have them all.
const PENDING_PER_CLIENT: usize = 64;

impl Config {
    fn clients(&self) -> Vec<Block> {
        let ipv4 = self.networks.iter().map(|network| Block::v4(network.address(), network.prefix()));
        let ipv6 = self.ipv6.map(|network| Block::v6(network.address(), network.prefix()));
        ipv4.chain(ipv6).collect()
    }
}

impl<T> Engine<T> {
    /// An engine that knows these names, and asks nobody yet.
    pub fn new(config: &Config, zone: Zone) -> Self {
        Self {
            clients: config.clients(),
            zone,
            upstreams: Upstreams::default(),
            cache: Cache::default(),
            rates: Rates::new(config.queries_per_second),
            pending: BTreeMap::new(),
            next: 0,
            counts: DnsCounts::default(),
        }
    }

    /// Answers whom this configuration says, as often as it says, from now on. Nobody who waits is forgotten.
    pub fn set_config(&mut self, config: &Config) {
        self.clients = config.clients();
        self.rates.set(config.queries_per_second);
    }

    /// The lab's names as they are known.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Knows these names from now on.
    pub fn set_zone(&mut self, zone: Zone) {
        self.zone = zone;
    }

    /// Asks these name servers from now on, the first one first. What others said is forgotten.
    pub fn set_upstreams(&mut self, upstreams: &[SocketAddr]) {
        self.upstreams.set(upstreams);
        self.cache.clear();
    }

    /// The name servers, and whether each answers as far as is known.
    pub fn upstreams(&self) -> impl Iterator<Item = (SocketAddr, bool)> {
        self.upstreams.all()
    }

    /// What was done so far.
    pub fn counts(&self) -> DnsCounts {
        self.counts
    }

    /// Decides what is done about a client's message that arrived `now`.
    pub fn handle(&mut self, message: &[u8], client: Client, to: T, now: Instant) -> Vec<Action<T>> {
        self.counts.queries += 1;
        if !self.rates.admit(client.address, now) {
            self.counts.limited += 1;
            return Vec::new();
        }
        let query = match Query::parse(message, client.transport) {
            Ok(query) => query,
            Err(rejection) => return self.reject(rejection, to),
        };
        let block = Block::one(client.address);
        if !self.clients.iter().any(|network| network.holds(&block)) {
            self.counts.refused += 1;
            return vec![Action::Reply(to, reply::empty(&query, Rcode::REFUSED))];
        }
        if let Some(verdict) = self.zone.find(&query).or_else(|| special::find(&query, &self.zone)) {
            self.counts.local += 1;
            return vec![Action::Reply(to, reply::write(&query, &verdict))];
        }
        // RFC 1035 §4.1.1: who does not want us to ask others gets only what is ours.
        if !query.recursion_desired {
            self.counts.refused += 1;
            return vec![Action::Reply(to, reply::empty(&query, Rcode::REFUSED))];
        }
        let key = Key::of(&query);
        if let Some(found) = self.cache.find(&key, now) {
            self.counts.cached += 1;
            let failed = || reply::empty(&query, Rcode::SERVFAIL);
            return vec![Action::Reply(to, found.map_or_else(failed, |(answer, age)| answer.write(&query, age)))];
        }
        self.counts.forwarded += 1;
        self.forward(key, Waiter { client: client.address, query, to }, now)
    }

    /// Takes up a message that came as the answer to what was asked ([`Ask::is_answered_by`]).
    pub fn answered(&mut self, ask: &Ask, message: &[u8], now: Instant) -> Vec<Action<T>> {
        self.upstreams.heard(ask.upstream, now);
        let Some(pending) = self.pending.get_mut(&ask.pending) else { return Vec::new() };
        let Ok(header) = Message::from_slice(message).map(Message::header) else { return Vec::new() };
        if header.tc() && ask.transport == Transport::Udp {
            return vec![Action::Ask(pending.ask(ask.pending, ask.upstream, Transport::Tcp, ask.edns, now))];
        }
        if header.rcode() == Rcode::FORMERR && ask.edns {
            return vec![Action::Ask(pending.ask(ask.pending, ask.upstream, ask.transport, false, now))];
        }
        let useful = matches!(header.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN) && !header.tc();
        match Answer::read(message, ask.rtype).filter(|_| useful) {
            Some(answer) => self.settle(ask.pending, &answer, now),
            None => self.go_on(ask, now),
        }
    }

    /// Takes up that what was asked cannot be answered: nobody is there, or there is no way.
    pub fn unreachable(&mut self, ask: &Ask, now: Instant) -> Vec<Action<T>> {
        // Where only TCP leads nowhere, the server is there all the same.
        if ask.transport == Transport::Udp {
            self.upstreams.gone(ask.upstream, now);
        }
        self.go_on(ask, now)
    }

    /// When [`Engine::handle_timeout`] is due; nothing while nobody is waited for.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.pending.values().map(|pending| pending.patience).min()
    }

    /// Does what is due `now`.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Action<T>> {
        let due: Vec<_> =
            self.pending.iter().filter(|(_, pending)| pending.patience <= now).map(|(id, _)| *id).collect();
        let mut actions = Vec::new();
        for id in due {
            let Some(pending) = self.pending.get_mut(&id) else { continue };
            for (upstream, asked) in pending.give_up() {
                self.upstreams.silent(upstream, asked, now);
            }
            match pending.ask_next(id, now) {
                Some(ask) => actions.push(Action::Ask(ask)),
                None => actions.extend(self.fail(id, now)),
            }
        }
        actions
    }

    fn reject(&mut self, rejection: Rejection, to: T) -> Vec<Action<T>> {
        match rejection {
            Rejection::Silent => {
                self.counts.malformed += 1;
                Vec::new()
            }
            Rejection::Malformed(message) => {
                self.counts.malformed += 1;
                vec![Action::Reply(to, message)]
            }
            Rejection::Refused(message) => {
                self.counts.refused += 1;
                vec![Action::Reply(to, message)]
            }
        }
    }

    fn forward(&mut self, key: Key, waiter: Waiter<T>, now: Instant) -> Vec<Action<T>> {
        let waiting = self.pending.values().flat_map(|pending| &pending.waiters);
        let plan = self.upstreams.plan();
        let full = waiting.filter(|other| other.client == waiter.client).count() >= PENDING_PER_CLIENT;
        let Some(plan) = plan.filter(|_| !full) else { return self.refuse_to_wait(waiter) };
        // RFC 5452 §5: the same question is on its way once, or guessing an answer would be easier.
        if let Some(pending) = self.pending.values_mut().find(|pending| pending.key == key) {
            pending.waiters.push(waiter);
            return Vec::new();
        }
        if self.pending.len() >= PENDING {
            return self.refuse_to_wait(waiter);
        }
        let id = self.next;
        self.next += 1;
        let mut pending = Pending::new(key, waiter.query.clone(), &plan, waiter, now);
        let asks: Vec<_> = match plan {
            Plan::AtOnce(all) => all.into_iter().map(|one| pending.ask(id, one, Transport::Udp, true, now)).collect(),
            Plan::InTurn(_) => {
                // The trial first: patience is to be lost with whom the client really waits for.
                let trial = self.upstreams.trial(now).map(|one| pending.ask(id, one, Transport::Udp, true, now));
                trial.into_iter().chain(pending.ask_next(id, now)).collect()
            }
        };
        self.pending.insert(id, pending);
        asks.into_iter().map(Action::Ask).collect()
    }

    fn refuse_to_wait(&mut self, waiter: Waiter<T>) -> Vec<Action<T>> {
        self.counts.failed += 1;
        vec![Action::Reply(waiter.to, reply::empty(&waiter.query, Rcode::SERVFAIL))]
    }

    /// Whoever was asked has no answer: somebody else may.
    fn go_on(&mut self, ask: &Ask, now: Instant) -> Vec<Action<T>> {
        let Some(pending) = self.pending.get_mut(&ask.pending) else { return Vec::new() };
        if pending.without(ask.upstream) {
            return Vec::new();
        }
        match pending.ask_next(ask.pending, now) {
            Some(ask) => vec![Action::Ask(ask)],
            None => self.fail(ask.pending, now),
        }
    }

    fn settle(&mut self, id: u64, answer: &Answer, now: Instant) -> Vec<Action<T>> {
        let Some(pending) = self.pending.remove(&id) else { return Vec::new() };
        self.cache.keep(&pending.key, answer, now);
        let replies = pending.waiters.into_iter();
        replies.map(|waiter| Action::Reply(waiter.to, answer.write(&waiter.query, 0))).collect()
    }

    fn fail(&mut self, id: u64, now: Instant) -> Vec<Action<T>> {
        let Some(pending) = self.pending.remove(&id) else { return Vec::new() };
        self.cache.keep_failure(&pending.key, now);
        pending.waiters.into_iter().flat_map(|waiter| self.refuse_to_wait(waiter)).collect()
    }
}
