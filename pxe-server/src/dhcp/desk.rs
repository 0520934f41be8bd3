//! Decides about datagrams, counts the ignored ones, and says what it decided.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::SystemTime;

use lab_model::{Inventory, MacAddr, What};
use pxe_proto::boot::Profiles;
use pxe_proto::dhcp::{Action, Change, Engine, Ignored, LeaseRecord, Reply, ReplyKind, Request, Verdict};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::clients::Clients;
use super::doubts::Doubts;
use super::rivals::Rivals;
use super::socket::DHCP_CLIENT;
use super::tally::Tally;
use crate::firmwares::Firmwares;
use crate::plan::Plans;

/// The engine, with the inventory and the profiles that it works from.
pub(super) struct Desk {
    engine: Engine,
    sources: Sources,
    firmwares: Firmwares,
    /// Whether the link is asked who has an address.
    probes: bool,
    ignored: Tally,
    rivals: Option<Rivals>,
    doubts: Doubts,
}

/// What decisions follow.
#[derive(Clone)]
pub(crate) struct Sources {
    /// The machines.
    pub(crate) inventory: watch::Receiver<Arc<Inventory>>,
    /// What else than an image they can boot.
    pub(crate) profiles: watch::Receiver<Arc<Profiles>>,
    /// The configuration.
    pub(crate) plans: Plans,
}

/// What was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caught {
    /// The configuration, perhaps with the rest.
    Configuration,
    /// Nothing, or something that tells nothing new of who has which address.
    Other,
}

/// What is to be done about some datagrams.
#[derive(Default)]
pub(super) struct Batch {
    decided: usize,
    /// What is carried out at once: it promises nothing.
    pub(super) replies: Vec<Decision>,
    /// What the link is asked about.
    pub(super) probes: Vec<Ipv4Addr>,
    /// What is carried out once its lease is on disk.
    pub(super) promises: Vec<(LeaseRecord, Decision)>,
}

/// What is done about one datagram.
pub(super) struct Decision {
    /// What it means for a machine's boot.
    pub(super) event: Option<(MacAddr, What)>,
    /// What is sent.
    pub(super) reply: Option<Box<Reply>>,
}

/// How many datagrams are decided about before anything else gets its turn.
const BATCH: usize = 64;

impl Batch {
    /// Whether another datagram may be decided about in the same turn.
    pub(super) fn has_room(&self) -> bool {
        self.decided < BATCH
    }
}

impl Desk {
    pub(super) fn new(mut engine: Engine, sources: Sources, firmwares: Firmwares, probes: bool) -> Self {
        engine.set_profiles(sources.profiles.borrow().clone());
        Self { engine, sources, firmwares, probes, ignored: Tally::default(), rivals: None, doubts: Doubts::default() }
    }

    /// Has the owner told of other servers that machines choose.
    pub(super) fn report_rivals(&mut self, rivals: Rivals) {
        self.rivals = Some(rivals);
    }

    /// The hosts that are not believed about addresses.
    pub(super) fn doubts(&self) -> Doubts {
        self.doubts.clone()
    }

    /// Takes up the newest inventory, profiles and configuration.
    pub(super) fn catch_up(&mut self) -> Caught {
        let Self { engine, sources: Sources { inventory, profiles, plans }, probes, .. } = self;
        if inventory.has_changed().unwrap_or(false) {
            engine.set_inventory(inventory.borrow_and_update().clone());
        }
        if profiles.has_changed().unwrap_or(false) {
            engine.set_profiles(profiles.borrow_and_update().clone());
        }
        if !plans.has_changed().unwrap_or(false) {
            return Caught::Other;
        }
        engine.set_config(plans.borrow_and_update().dhcp(*probes));
        Caught::Configuration
    }

    /// Who has which address.
    pub(super) fn clients(&self) -> Clients {
        Clients::of(&self.engine)
    }

    /// Decides about a datagram.
    pub(super) fn decide(&mut self, datagram: &[u8], sender: SocketAddrV4, batch: &mut Batch) {
        batch.decided += 1;
        let mut request = match Request::parse(datagram) {
            Ok(request) => request,
            Err(reason) => return self.ignore(&reason, sender),
        };
        let quirk = self.firmwares.treat(&mut request);
        let action = self.engine.handle(&request, SystemTime::now());
        self.act(action, sender, batch);
        if let Some(quirk) = quirk {
            batch.replies.push(Decision { event: Some((request.mac(), quirk)), reply: None });
        }
    }

    /// Decides what follows from what the link was asked.
    pub(super) fn conclude(&mut self, address: Ipv4Addr, verdict: Verdict, batch: &mut Batch) {
        // As the client that waits sent its request, which is on this link and has no address.
        let sender = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, DHCP_CLIENT);
        for action in self.engine.handle_probe(address, verdict, SystemTime::now()) {
            if let (Action::Record(change), Verdict::Taken(holder)) = (&action, verdict) {
                let mac = change.lease.mac;
                warn!(
                    machine = self.name(mac), %mac, %address, %holder,
                    "an address is in use by a host that did not ask for it: it is given to nobody for now; \
                     stop that host, or take the address out of `pool`, or out of the machine's definition"
                );
            }
            self.act(action, sender, batch);
        }
        self.engine.doubted().for_each(|host| self.doubts.note(host));
    }

    fn act(&mut self, action: Action, sender: SocketAddrV4, batch: &mut Batch) {
        match action {
            Action::Ignore(reason) => self.ignore(&reason, sender),
            Action::Probe(address) => batch.probes.push(address),
            Action::Doubt(host) => warn!(
                %host,
                "a host says of more addresses that they are its own than one host has, and is not believed any more; is it a router with \
                 proxy ARP? Turn that off there, or set `probe-milliseconds = 0` in [dhcp]"
            ),
            Action::Record(change) => {
                let LeaseRecord { mac, address, state, .. } = &change.lease;
                info!(machine = self.name(*mac), %mac, %address, ?state, "lease ended");
                let Change { lease, event } = *change;
                batch.promises.push((lease, Decision { event, reply: None }));
            }
            Action::Reply(mut reply) => {
                batch.probes.extend(reply.probe);
                self.log(&reply);
                let (event, lease) = (reply.event.take(), reply.commit.take());
                let decision = Decision { event, reply: Some(reply) };
                match lease {
                    Some(lease) => batch.promises.push((lease, decision)),
                    None => batch.replies.push(decision),
                }
            }
        }
    }

    /// Every lease that counts.
    pub(super) fn leases(&self) -> Vec<LeaseRecord> {
        self.engine.leases().cloned().collect()
    }

    /// Says how often what was ignored.
    pub(super) fn say_what_was_ignored(&self) {
        self.ignored.say();
    }

    fn ignore(&mut self, reason: &Ignored, sender: SocketAddrV4) {
        if let (Ignored::OtherServer(server), Some(rivals)) = (reason, &self.rivals) {
            rivals.note(*server);
        }
        self.ignored.count(reason, sender);
    }

    /// An exchange has one line, which says what came of it: the machine's timeline has its offer too.
    fn log(&self, reply: &Reply) {
        let Reply { kind, mac, address, firmware, destination, event, .. } = reply;
        match (kind, event) {
            (ReplyKind::Offer, _) => {
                debug!(machine = self.name(*mac), %mac, %address, ?firmware, stage = "offer", ?destination);
            }
            (ReplyKind::Ack, _) => {
                info!(machine = self.name(*mac), %mac, %address, ?firmware, stage = "ack", ?destination);
            }
            (ReplyKind::Nak, event) => {
                let reason = event.as_ref().and_then(|(_, what)| match what {
                    What::Nak { reason, .. } => Some(reason),
                    _ => None,
                });
                info!(machine = self.name(*mac), %mac, %address, ?firmware, stage = "nak", reason);
            }
        }
    }

    fn name(&self, mac: MacAddr) -> Option<String> {
        self.sources.inventory.borrow().by_mac(mac).map(|machine| machine.name.to_string())
    }
}
