//! The decisions (RFC 2131 §4.3).

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::SystemTime;

use lab_model::{Inventory, MacAddr, What};

use super::leases::Leases;
use super::reply::{self, Parameters};
use super::{Config, Destination, Ignored, LeaseRecord, Refusal, Reply, ReplyKind, Request, RequestKind};
use crate::boot::{self, Profiles};

/// Gives addresses to clients and says what they boot.
///
/// - A machine's reservation goes before everything else. While somebody else still has the address, or it is on
///   probation, the machine gets one from the pool: it is to boot, and moves when it next asks.
/// - An address is kept from the offer on, so that no two clients are ever offered the same.
/// - When a reservation changes, the old lease ends with a DHCPNAK as soon as its holder asks to prolong it. Nobody else
///   gets the address before that lease has ended, or its holder has taken another.
/// - A client that a lone (authoritative) server does not know keeps the address it has, if it could be given that
///   address: so a lost journal disturbs nobody.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    inventory: Arc<Inventory>,
    profiles: Arc<Profiles>,
    leases: Leases,
}

/// What is to be done about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this.
    Reply(Box<Reply>),
    /// Keep this: the client gave an address back, or declined it. Nothing is sent.
    Record(Box<Change>),
    /// Count it.
    Ignore(Ignored),
}

/// A change that nobody is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// For the lease journal.
    pub lease: LeaseRecord,
    /// What it means for the machine's boot.
    pub event: Option<(MacAddr, What)>,
}

/// What a DHCPREQUEST is about (RFC 2131 §4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// The client takes up our offer.
    Selecting,
    /// It remembers an address from before it was started.
    InitReboot,
    /// It wants to keep the address that it uses. Rebinding is no different: whom the client asks does not change the answer.
    Renewing,
}

impl Engine {
    /// An engine that knows of no lease yet.
    pub fn new(config: Config, inventory: Arc<Inventory>) -> Self {
        let leases = Leases::new(&config);
        let mut engine = Self { config, inventory: Arc::default(), profiles: Arc::default(), leases };
        engine.set_inventory(inventory);
        engine
    }

    /// Takes up a lease from the journal; they come in the order in which they were written, before the first request.
    pub fn restore(&mut self, lease: LeaseRecord) {
        self.leases.restore(lease);
    }

    /// Decides what is done about a request that arrived `now`.
    pub fn handle(&mut self, request: &Request, now: SystemTime) -> Action {
        self.leases.advance(now.into());
        self.decide(request).unwrap_or_else(Action::Ignore)
    }

    /// Works from this inventory from now on.
    pub fn set_inventory(&mut self, inventory: Arc<Inventory>) {
        let reserved = inventory.machines().filter_map(|machine| machine.address);
        self.leases.reserve(reserved.filter(|address| self.leases.is_clients(*address)).collect());
        self.inventory = inventory;
    }

    /// Sends machines where these profiles say from now on.
    pub fn set_profiles(&mut self, profiles: Arc<Profiles>) {
        self.profiles = profiles;
    }

    /// Every lease that is to be kept, in the order of addresses: what a snapshot of the journal consists of.
    pub fn leases(&self) -> impl Iterator<Item = &LeaseRecord> {
        self.leases.kept()
    }

    fn decide(&mut self, request: &Request) -> Result<Action, Ignored> {
        let relay = request.relay();
        if !relay.is_unspecified() && !self.leases.is_clients(relay) {
            return Err(Ignored::ForeignRelay(relay));
        }
        let ours = self.config.server.address();
        if let Some(other) = request.server.filter(|server| *server != ours) {
            // RFC 2131 §3.1, step 4: the servers that were not chosen take this as notice.
            self.leases.withdraw(request.mac());
            return Err(Ignored::OtherServer(other));
        }
        match request.kind() {
            RequestKind::Discover => self.discover(request),
            RequestKind::Request => self.request(request),
            RequestKind::Decline => self.decline(request),
            RequestKind::Release => self.release(request),
            RequestKind::Inform => self.inform(request),
        }
    }

    /// RFC 2131 §4.3.1.
    fn discover(&mut self, request: &Request) -> Result<Action, Ignored> {
        let mac = request.mac();
        let address = self.choose(request)?;
        self.leases.offer(mac, address, self.config.offer_hold);
        Ok(self.grant(ReplyKind::Offer, request, address, None, true))
    }

    /// RFC 2131 §4.3.2.
    fn request(&mut self, request: &Request) -> Result<Action, Ignored> {
        let mac = request.mac();
        let in_use = Some(request.client_address).filter(|address| !address.is_unspecified());
        let (asked, address) = match (request.server, request.requested) {
            (Some(_), requested) => (Asked::Selecting, requested.or(in_use)),
            (None, Some(requested)) => (Asked::InitReboot, Some(requested)),
            (None, None) => (Asked::Renewing, in_use),
        };
        let address = address.ok_or(Ignored::NoAddress)?;
        let known = self.leases.knows(mac) || self.reservation(mac).is_some();
        if asked != Asked::Selecting && !known && !self.config.authoritative {
            return Err(Ignored::UnknownClient(mac));
        }
        match self.entitled(address, mac) {
            Ok(()) => {
                let lease = self.leases.bind(mac, address, self.config.lease);
                Ok(self.grant(ReplyKind::Ack, request, address, Some(lease), asked != Asked::Renewing))
            }
            Err(reason) => Ok(self.refuse(request, address, reason)),
        }
    }

    /// RFC 2131 §4.3.3.
    fn decline(&mut self, request: &Request) -> Result<Action, Ignored> {
        let mac = request.mac();
        let address = request.requested.ok_or(Ignored::NoAddress)?;
        let declined = self.leases.decline(mac, address, self.config.decline_hold);
        let lease = declined.ok_or(Ignored::NotTheirs(mac, address))?;
        Ok(Action::Record(Box::new(Change { lease, event: Some((mac, What::Decline { address })) })))
    }

    /// RFC 2131 §4.3.4.
    fn release(&mut self, request: &Request) -> Result<Action, Ignored> {
        let (mac, address) = (request.mac(), request.client_address);
        let lease = self.leases.release(mac, address).ok_or(Ignored::NotTheirs(mac, address))?;
        Ok(Action::Record(Box::new(Change { lease, event: None })))
    }

    /// RFC 2131 §4.3.5: the client has its address from elsewhere, so neither `yiaddr` nor a lease time is filled in.
    fn inform(&self, request: &Request) -> Result<Action, Ignored> {
        let address = request.client_address;
        if address.is_unspecified() {
            return Err(Ignored::NoAddress);
        }
        if !self.leases.is_clients(address) {
            return Err(Ignored::ForeignClient(address));
        }
        let message = reply::message(ReplyKind::Ack, request, &self.parameters(request, None));
        Ok(Action::Reply(Box::new(Reply {
            kind: ReplyKind::Ack,
            mac: request.mac(),
            firmware: request.firmware(),
            address,
            message,
            destination: Destination::of(ReplyKind::Ack, request, None),
            commit: None,
            event: None,
        })))
    }

    /// The address to offer, in the order of RFC 2131 §4.3.1: what the client has or had, what it asks for, what is left.
    fn choose(&self, request: &Request) -> Result<Ipv4Addr, Ignored> {
        let mac = request.mac();
        let wanted = [self.reservation(mac), self.leases.leased(mac), self.leases.offered(mac), request.requested];
        let wanted = wanted.into_iter().flatten().find(|address| self.permitted(*address, mac).is_ok());
        if !self.leases.has_pool() && wanted.is_none() {
            return Err(Ignored::NoPool(mac));
        }
        wanted.or_else(|| self.leases.pick(mac)).ok_or(Ignored::PoolExhausted(mac))
    }

    /// Whether the client can have the address it asks for, considering also what it has.
    fn entitled(&self, address: Ipv4Addr, mac: MacAddr) -> Result<(), Refusal> {
        self.permitted(address, mac)?;
        let expected = [self.reservation(mac), self.leases.offered(mac)].contains(&Some(address));
        match self.leases.leased(mac) {
            Some(other) if other != address && !expected && self.leases.is_leased(other, mac) => {
                Err(Refusal::Has(other))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the address could be given to the client.
    fn permitted(&self, address: Ipv4Addr, mac: MacAddr) -> Result<(), Refusal> {
        if !self.leases.is_clients(address) {
            return Err(Refusal::ForeignNetwork);
        }
        self.leases.vacant(address, mac)?;
        match self.reservation(mac) {
            Some(reserved) if reserved == address => Ok(()),
            Some(reserved) if self.leases.vacant(reserved, mac).is_ok() => Err(Refusal::Reserved(reserved)),
            _ if self.leases.is_reserved(address) => Err(Refusal::ReservedForAnother),
            _ if !self.leases.is_in_pool(address) => Err(Refusal::NotInPool),
            _ => Ok(()),
        }
    }

    fn reservation(&self, mac: MacAddr) -> Option<Ipv4Addr> {
        self.inventory.by_mac(mac)?.address.filter(|address| self.leases.is_clients(*address))
    }

    /// The offer or confirmation of an address; `told` is whether the machine's boot got further by it.
    fn grant(
        &self,
        kind: ReplyKind,
        request: &Request,
        address: Ipv4Addr,
        commit: Option<LeaseRecord>,
        told: bool,
    ) -> Action {
        let (mac, firmware) = (request.mac(), request.firmware());
        let what = match kind {
            ReplyKind::Offer => What::Offer { address, firmware },
            ReplyKind::Ack | ReplyKind::Nak => What::Ack { address, firmware },
        };
        Action::Reply(Box::new(Reply {
            kind,
            mac,
            firmware,
            address,
            message: reply::message(kind, request, &self.parameters(request, Some(address))),
            destination: Destination::of(kind, request, Some(address)),
            commit,
            event: told.then_some((mac, what)),
        }))
    }

    fn refuse(&self, request: &Request, address: Ipv4Addr, reason: Refusal) -> Action {
        let mac = request.mac();
        Action::Reply(Box::new(Reply {
            kind: ReplyKind::Nak,
            mac,
            firmware: request.firmware(),
            address,
            message: reply::refusal(self.config.server.address(), request, reason),
            destination: Destination::of(ReplyKind::Nak, request, None),
            commit: None,
            event: Some((mac, What::Nak { address, reason: reason.to_string() })),
        }))
    }

    fn parameters(&self, request: &Request, address: Option<Ipv4Addr>) -> Parameters<'_> {
        let (mac, firmware) = (request.mac(), request.firmware());
        let machine = self.inventory.by_mac(mac);
        // RFC 2132 §9.2 counts in 32 bits, and RFC 2131 §3.3 takes the greatest value for eternity.
        let seconds = self.config.lease.as_secs().min(u64::from(u32::MAX - 1)) as u32;
        Parameters {
            config: &self.config,
            lease: address.map(|address| (address, seconds)),
            hostname: machine.map(|machine| machine.name.as_str()),
            directions: boot::directions(machine.map(Arc::as_ref), &self.profiles, firmware, mac, self.config.base),
        }
    }
}
