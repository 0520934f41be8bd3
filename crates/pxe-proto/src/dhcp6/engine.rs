//! The decisions (RFC 8415 §18.3).

use std::mem;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::SystemTime;

use lab_model::{Inventory, MacAddr, What};

use super::reply::{self, Contents, Grant, Status};
use super::{Config, Ignored, Reply, ReplyKind, Request, RequestKind};
use crate::boot::{self, Profiles};
use crate::dhcp::leases::Leases;
use crate::dhcp::{LeaseRecord, NotTakenOver, Refusal};

/// Gives addresses to clients and says what they boot, by the rules that [`crate::dhcp::Engine`] has.
///
/// A client that asks for another address than its own is given its own, and told that the other one is not its any more: so a
/// machine whose reservation has changed moves when it next asks.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    inventory: Arc<Inventory>,
    profiles: Arc<Profiles>,
    leases: Leases<Ipv6Addr>,
}

/// What is to be done about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this.
    Reply(Box<Reply>),
    /// Count it.
    Ignore(Ignored),
}

impl Engine {
    /// An engine that knows of no lease yet.
    pub fn new(config: Config, inventory: Arc<Inventory>) -> Self {
        let leases = leases(&config);
        let mut engine = Self { config, inventory: Arc::default(), profiles: Arc::default(), leases };
        engine.set_inventory(inventory);
        engine
    }

    /// Takes up a lease from the journal; they come in the order in which they were written, before the first request.
    pub fn restore(&mut self, lease: LeaseRecord<Ipv6Addr>) {
        self.leases.restore(lease);
    }

    /// Takes over a lease that another server gave, by the rules of [`crate::dhcp::Engine::take_over`].
    ///
    /// # Errors
    /// The client is not to have the address from us.
    pub fn take_over(&mut self, lease: LeaseRecord<Ipv6Addr>, now: SystemTime) -> Result<(), NotTakenOver<Ipv6Addr>> {
        self.leases.advance(now.into());
        let reserved = self.inventory.by_mac(lease.mac).and_then(|machine| machine.ipv6);
        self.leases.take_over(lease, reserved, None)
    }

    /// Decides what is done about a request that arrived `now`.
    pub fn handle(&mut self, request: &Request, now: SystemTime) -> Action {
        self.leases.advance(now.into());
        let request = &request.known_to(&self.inventory);
        match self.decide(request) {
            Ok(reply) => Action::Reply(Box::new(reply)),
            Err(reason) => Action::Ignore(reason),
        }
    }

    /// Works by this configuration from now on, in the same network. No lease is lost; one whose client could not get the address any
    /// more is refused it when the client asks to prolong it, as one is whose reservation has changed.
    pub fn set_config(&mut self, config: Config) {
        let before = mem::replace(&mut self.leases, leases(&config));
        self.config = config;
        for record in before.into_records() {
            // Only another network would have no place for it.
            let _ = self.leases.adopt(record);
        }
        self.set_inventory(self.inventory.clone());
    }

    /// Works from this inventory from now on.
    pub fn set_inventory(&mut self, inventory: Arc<Inventory>) {
        let reserved = inventory.machines().filter_map(|machine| machine.ipv6);
        self.leases.reserve(reserved.filter(|address| self.leases.is_clients(*address)).collect());
        self.inventory = inventory;
    }

    /// Sends machines where these profiles say from now on.
    pub fn set_profiles(&mut self, profiles: Arc<Profiles>) {
        self.profiles = profiles;
    }

    /// Every lease that is to be kept, in the order of addresses: what a snapshot of the journal consists of.
    pub fn leases(&self) -> impl Iterator<Item = &LeaseRecord<Ipv6Addr>> {
        self.leases.kept()
    }

    fn decide(&mut self, request: &Request) -> Result<Reply, Ignored> {
        if let Some(link) = request.link().filter(|link| !self.config.server.contains(*link)) {
            return Err(Ignored::ForeignLink(link));
        }
        if request.server.as_ref().is_some_and(|server| *server != self.config.duid) {
            // RFC 8415 §18.3.2: whoever was not chosen takes this as notice.
            self.leases.withdraw(request.mac());
            return Err(Ignored::OtherServer);
        }
        match request.kind {
            RequestKind::Solicit => self.solicit(request),
            RequestKind::Request => self.request(request),
            RequestKind::Confirm => self.confirm(request),
            RequestKind::Renew | RequestKind::Rebind => self.prolong(request),
            RequestKind::Release => Ok(self.release(request)),
            RequestKind::Decline => Ok(self.decline(request)),
            RequestKind::Information => Ok(self.tell(request, Grant::Nothing, None)),
        }
    }

    /// RFC 8415 §18.3.1.
    fn solicit(&mut self, request: &Request) -> Result<Reply, Ignored> {
        if request.associations.is_empty() {
            return Err(Ignored::NoAddress);
        }
        let (mac, address) = (request.mac(), self.choose(request)?);
        if request.rapid_commit {
            return Ok(self.bind(request, address, true));
        }
        self.leases.offer(mac, address, self.config.offer_hold);
        let what = What::Offer { address: address.into(), firmware: request.firmware() };
        Ok(self.write(ReplyKind::Advertise, request, Grant::Address(address), None, Some(what)))
    }

    /// RFC 8415 §18.3.2.
    fn request(&mut self, request: &Request) -> Result<Reply, Ignored> {
        if request.associations.is_empty() {
            return Err(Ignored::NoAddress);
        }
        match self.choose(request) {
            Ok(address) => Ok(self.bind(request, address, true)),
            Err(reason) => {
                let address = request.addresses().next().unwrap_or(Ipv6Addr::UNSPECIFIED);
                let what = What::Nak { address: address.into(), reason: reason.to_string() };
                let refused = Grant::Refused(Status::NoAddresses);
                Ok(self.write(ReplyKind::Reply, request, refused, None, Some(what)))
            }
        }
    }

    /// RFC 8415 §18.3.4 and §18.3.5. Whom the client asks does not change the answer.
    fn prolong(&mut self, request: &Request) -> Result<Reply, Ignored> {
        let mac = request.mac();
        if request.associations.is_empty() {
            return Err(Ignored::NoAddress);
        }
        let known = self.leases.knows(mac) || self.reservation(mac).is_some();
        if !known && !self.config.authoritative {
            return Err(Ignored::UnknownClient(mac));
        }
        match self.choose(request) {
            Ok(address) => Ok(self.bind(request, address, false)),
            Err(_) => Ok(self.tell(request, Grant::Refused(Status::NoBinding), None)),
        }
    }

    /// RFC 8415 §18.3.3.
    fn confirm(&self, request: &Request) -> Result<Reply, Ignored> {
        let mut addresses = request.addresses().peekable();
        addresses.peek().ok_or(Ignored::NoAddress)?;
        let here = addresses.all(|address| self.config.server.contains(address));
        let status = if here { Status::Success } else { Status::NotOnLink };
        Ok(self.tell(request, Grant::Nothing, Some(status)))
    }

    /// RFC 8415 §18.3.7: the client has no use for its address any more.
    fn release(&mut self, request: &Request) -> Reply {
        let mac = request.mac();
        let ended = request.addresses().find_map(|address| self.leases.release(mac, address));
        let grant = if ended.is_some() { Grant::Nothing } else { Grant::Refused(Status::NoBinding) };
        Reply { commit: ended, ..self.tell(request, grant, Some(Status::Success)) }
    }

    /// RFC 8415 §18.3.8: somebody uses the address who has not asked.
    fn decline(&mut self, request: &Request) -> Reply {
        let (mac, hold) = (request.mac(), self.config.decline_hold);
        let Some(lease) = request.addresses().find_map(|address| self.leases.decline(mac, address, hold)) else {
            return self.tell(request, Grant::Refused(Status::NoBinding), Some(Status::Success));
        };
        let what = What::Decline { address: lease.address.into(), holder: None };
        let reply = self.write(ReplyKind::Reply, request, Grant::Nothing, Some(Status::Success), Some(what));
        Reply { commit: Some(lease), ..reply }
    }

    /// The client's own address: what is reserved for it, what it has or was offered, what it asks for, what is left.
    fn choose(&self, request: &Request) -> Result<Ipv6Addr, Ignored> {
        let mac = request.mac();
        let own = [self.reservation(mac), self.leases.leased(mac), self.leases.offered(mac)];
        let mut wanted = own.into_iter().flatten().chain(request.addresses());
        let wanted = wanted.find(|address| self.permitted(*address, mac).is_ok());
        if !self.leases.has_pool(&[]) && wanted.is_none() {
            return Err(Ignored::NoPool(mac));
        }
        wanted.or_else(|| self.leases.pick(mac)).ok_or(Ignored::PoolExhausted(mac))
    }

    /// Whether the address could be given to the client.
    fn permitted(&self, address: Ipv6Addr, mac: MacAddr) -> Result<(), Refusal<Ipv6Addr>> {
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

    fn reservation(&self, mac: MacAddr) -> Option<Ipv6Addr> {
        self.inventory.by_mac(mac)?.ipv6.filter(|address| self.leases.is_clients(*address))
    }

    /// Leases the address to the client; `told` is whether the machine's boot got further by it.
    fn bind(&mut self, request: &Request, address: Ipv6Addr, told: bool) -> Reply {
        let lease = self.leases.bind(request.mac(), address, request.own_name().cloned(), self.config.lease);
        let what = told.then(|| What::Ack { address: address.into(), firmware: request.firmware() });
        let reply = self.write(ReplyKind::Reply, request, Grant::Address(address), None, what);
        Reply { commit: Some(lease), ..reply }
    }

    /// An answer that promises nothing.
    fn tell(&self, request: &Request, grant: Grant, status: Option<Status>) -> Reply {
        self.write(ReplyKind::Reply, request, grant, status, None)
    }

    fn write(
        &self,
        kind: ReplyKind,
        request: &Request,
        grant: Grant,
        status: Option<Status>,
        what: Option<What>,
    ) -> Reply {
        let (mac, firmware) = (request.mac(), request.firmware());
        let machine = self.inventory.by_mac(mac);
        let (defined, base) = (machine.map(Arc::as_ref), self.config.base);
        let directions = boot::directions(defined, &self.profiles, firmware, mac, request.treatment, base);
        let name = machine.map(|machine| machine.name.as_str()).or_else(|| Some(request.own_name()?.as_str()));
        let contents = Contents { config: &self.config, grant, status, name, directions };
        Reply {
            kind,
            mac,
            firmware,
            address: match grant {
                Grant::Address(address) => Some(address),
                Grant::Nothing | Grant::Refused(_) => None,
            },
            message: reply::message(kind, request, &contents),
            commit: None,
            // What stands in for a hardware address is nobody's history.
            event: what.filter(|_| request.client.shows_hardware).map(|what| (mac, what)),
        }
    }
}

/// The network of a configuration, where nobody has an address yet.
fn leases(config: &Config) -> Leases<Ipv6Addr> {
    let pools = [config.pool.as_slice()].into_iter();
    Leases::new(config.server.hosts(), pools, config.server.address(), None)
}
