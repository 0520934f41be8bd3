//! The name servers that others' names are asked of: which first, and which no longer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The name servers in the order in which they are wanted, with what is known of them.
#[derive(Debug, Default)]
pub(super) struct Upstreams(Vec<Upstream>);

#[derive(Debug)]
struct Upstream {
    address: SocketAddr,
    /// When it last said anything.
    heard: Option<Instant>,
    /// How many questions in a row it left unanswered.
    silent: u8,
    /// When one that is given up is tried again; nothing for one that is not.
    trial: Option<Instant>,
}

/// Whom to ask a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// One after the other, as long as none answers.
    InTurn(Vec<SocketAddr>),
    /// All at once: every one of them is given up, and the client is not to wait for each.
    AtOnce(Vec<SocketAddr>),
}

/// One lost datagram is no dead server.
const SILENT_AT_MOST: u8 = 1;

/// How long a server that is given up is left alone; then one question goes to it too.
const REST: Duration = Duration::from_secs(10);

/// How often a question is sent at least, if it is not answered: datagrams get lost.
const TRIES: usize = 3;

/// How often at most, so that the client is answered before it gives up (resolv.conf(5): after five seconds).
const TRIES_AT_MOST: usize = 4;

impl Upstreams {
    /// Asks these from now on. Of those that were asked already, what is known stays known.
    pub(super) fn set(&mut self, addresses: &[SocketAddr]) {
        let mut before = std::mem::take(&mut self.0);
        for address in addresses {
            if self.0.iter().any(|upstream| upstream.address == *address) {
                continue;
            }
            let known = before.iter().position(|upstream| upstream.address == *address);
            let new = || Upstream { address: *address, heard: None, silent: 0, trial: None };
            self.0.push(known.map_or_else(new, |at| before.swap_remove(at)));
        }
    }

    /// Whom to ask; nothing where there is nobody.
    pub(super) fn plan(&self) -> Option<Plan> {
        let alive: Vec<_> = self.0.iter().filter(|upstream| upstream.trial.is_none()).map(|one| one.address).collect();
        if self.0.is_empty() {
            return None;
        }
        if alive.is_empty() {
            return Some(Plan::AtOnce(self.0.iter().take(TRIES_AT_MOST).map(|one| one.address).collect()));
        }
        let tries = alive.len().clamp(TRIES, TRIES_AT_MOST);
        Some(Plan::InTurn(alive.into_iter().cycle().take(tries).collect()))
    }

    /// One that was given up and has rested: a question goes to it beside the one that it would not answer in time.
    pub(super) fn trial(&mut self, now: Instant) -> Option<SocketAddr> {
        let rested = self.0.iter_mut().find(|upstream| upstream.trial.is_some_and(|trial| trial <= now))?;
        rested.trial = Some(now + REST);
        Some(rested.address)
    }

    /// It said something.
    pub(super) fn heard(&mut self, address: SocketAddr, now: Instant) {
        if let Some(upstream) = self.find(address) {
            *upstream = Upstream { address, heard: Some(now), silent: 0, trial: None };
        }
    }

    /// It did not answer a question in time that was sent then. Where it has said anything since, the question was hard, and
    /// the server is well.
    pub(super) fn silent(&mut self, address: SocketAddr, sent: Instant, now: Instant) {
        let Some(upstream) = self.find(address) else { return };
        if upstream.heard.is_some_and(|heard| heard >= sent) {
            return;
        }
        upstream.silent = upstream.silent.saturating_add(1);
        if upstream.silent > SILENT_AT_MOST {
            upstream.trial = Some(now + REST);
        }
    }

    /// Nobody is there, by its host's own word.
    pub(super) fn gone(&mut self, address: SocketAddr, now: Instant) {
        if let Some(upstream) = self.find(address) {
            upstream.trial = Some(now + REST);
        }
    }

    /// Every one with whether it answers, as far as is known.
    pub(super) fn all(&self) -> impl Iterator<Item = (SocketAddr, bool)> {
        self.0.iter().map(|upstream| (upstream.address, upstream.trial.is_none()))
    }

    fn find(&mut self, address: SocketAddr) -> Option<&mut Upstream> {
        self.0.iter_mut().find(|upstream| upstream.address == address)
    }
}
