//! A question that somebody else was asked, and who waits for the answer.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::ask::{Ask, Transport};
use super::cache::Key;
use super::query::Query;
use super::upstreams::Plan;

/// A question on its way.
#[derive(Debug)]
pub(super) struct Pending<T> {
    pub(super) key: Key,
    /// As the first who asked it wrote it.
    query: Query,
    pub(super) waiters: Vec<Waiter<T>>,
    /// Who is asked next, if nobody answers.
    next: VecDeque<SocketAddr>,
    /// Who is waited for, since when.
    asked: Vec<(SocketAddr, Instant)>,
    /// When patience is lost with those.
    pub(super) patience: Instant,
    ends: Instant,
}

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Waiter<T> {
    pub(super) client: IpAddr,
    pub(super) query: Query,
    pub(super) to: T,
}

/// How long one name server may take before the next is asked too.
const PATIENCE: Duration = Duration::from_secs(1);

/// When the client is told that there is no answer, at the latest: before it gives up by itself (resolv.conf(5)).
const LIMIT: Duration = Duration::from_millis(4500);

impl<T> Pending<T> {
    /// A question that is to be asked as planned; nobody is asked yet.
    pub(super) fn new(key: Key, query: Query, plan: &Plan, waiter: Waiter<T>, now: Instant) -> Self {
        let (next, limit) = match plan {
            Plan::InTurn(all) => (all.iter().copied().collect(), LIMIT),
            Plan::AtOnce(_) => (VecDeque::new(), PATIENCE),
        };
        let (patience, ends) = (now + PATIENCE, now + limit);
        Self { key, query, waiters: vec![waiter], next, asked: Vec::new(), patience, ends }
    }

    /// Asks whoever is next; nothing where everybody was asked.
    pub(super) fn ask_next(&mut self, id: u64, now: Instant) -> Option<Ask> {
        let upstream = self.next.pop_front().filter(|_| now < self.ends)?;
        Some(self.ask(id, upstream, Transport::Udp, true, now))
    }

    /// Asks this one too.
    pub(super) fn ask(&mut self, id: u64, upstream: SocketAddr, by: Transport, edns: bool, now: Instant) -> Ask {
        self.asked.retain(|(other, _)| *other != upstream);
        self.asked.push((upstream, now));
        self.patience = (now + PATIENCE).min(self.ends);
        Ask {
            upstream,
            transport: by,
            limit: self.ends.saturating_duration_since(now),
            pending: id,
            name: self.query.name.clone(),
            rtype: self.query.rtype,
            checking_disabled: self.query.checking_disabled,
            dnssec_ok: self.query.dnssec_ok(),
            edns,
        }
    }

    /// Loses patience with those who were asked, and returns them.
    pub(super) fn give_up(&mut self) -> Vec<(SocketAddr, Instant)> {
        std::mem::take(&mut self.asked)
    }

    /// This one has no answer, and is not asked again. Whether somebody else is still waited for.
    pub(super) fn without(&mut self, upstream: SocketAddr) -> bool {
        self.next.retain(|other| *other != upstream);
        self.asked.retain(|(other, _)| *other != upstream);
        !self.asked.is_empty()
    }
}
