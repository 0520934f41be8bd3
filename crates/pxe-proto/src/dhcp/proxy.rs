//! ProxyDHCP: what machines boot whose addresses another server gives (PXE 2.1; RFC 4578).
//!
//! A network boot client collects offers for a few seconds. One of them has an address; ours has none, and says what to boot.
//! The client then takes the other's address. A PXE client may ask again at port 4011, where boot servers are: as soon as it has
//! its address, it asks there for the boot file, and is answered at the address and port that it asks from.
//!
//! What is broadcast about addresses is heard too: it tells how far a boot is, and whose the addresses are.
//!
//! Nothing is kept: the same request has the same answer at any time.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use lab_model::{Inventory, Ipv4Net, MacAddr, What};

use super::boot_file::{BootFile, Source};
use super::{Class, Destination, Ignored, Reply, ReplyKind, Request, RequestKind, class, reply};
use crate::boot::{BaseUrl, Profiles};

/// Says what clients of this link boot.
#[derive(Debug)]
pub struct Proxy {
    config: ProxyConfig,
    inventory: Arc<Inventory>,
    profiles: Arc<Profiles>,
}

/// What it is told once, at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyConfig {
    /// The server's own address, and the network that it and the machines are on.
    pub server: Ipv4Net,
    /// Clients that are treated alike. Only what they boot counts.
    pub classes: Vec<Class>,
    /// Who is answered.
    pub audience: Audience,
    /// Where boot programs fetch from.
    pub base: BaseUrl,
}

/// Which network boot clients are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Machines that are defined. To all others it is as if there were no server.
    Known,
    /// Every one.
    Everybody,
}

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// By broadcast, at the port of DHCP servers: every server has it.
    Broadcast,
    /// At the port of boot servers, 4011, from this address and port.
    BootServer(SocketAddrV4),
}

/// What is to be done about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyAction {
    /// Send this.
    Reply(Box<Reply>),
    /// Nothing is sent.
    Heard(Heard),
    /// Count it.
    Ignore(Ignored),
}

/// What a client said to another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// That server, where the client names it.
    pub server: Option<Ipv4Addr>,
    /// What it means for the machine's boot.
    pub event: Option<(MacAddr, What)>,
}

impl Proxy {
    /// One that knows no profiles yet.
    pub fn new(config: ProxyConfig, inventory: Arc<Inventory>) -> Self {
        Self { config, inventory, profiles: Arc::default() }
    }

    /// Works by this configuration from now on.
    pub fn set_config(&mut self, config: ProxyConfig) {
        self.config = config;
    }

    /// Works from this inventory from now on.
    pub fn set_inventory(&mut self, inventory: Arc<Inventory>) {
        self.inventory = inventory;
    }

    /// Sends machines where these profiles say from now on.
    pub fn set_profiles(&mut self, profiles: Arc<Profiles>) {
        self.profiles = profiles;
    }

    /// Decides what is done about a request.
    pub fn handle(&self, request: &Request, arrival: Arrival) -> ProxyAction {
        self.decide(request, arrival).unwrap_or_else(ProxyAction::Ignore)
    }

    fn decide(&self, request: &Request, arrival: Arrival) -> Result<ProxyAction, Ignored> {
        if !request.relay().is_unspecified() {
            return Err(Ignored::ForeignRelay(request.relay()));
        }
        match (arrival, request.kind()) {
            (Arrival::Broadcast, RequestKind::Discover) => self.offer(request),
            (Arrival::Broadcast, RequestKind::Request) => self.hear(request),
            (Arrival::BootServer(sender), RequestKind::Request | RequestKind::Inform) => {
                self.acknowledge(request, sender)
            }
            (Arrival::Broadcast, RequestKind::Decline | RequestKind::Release | RequestKind::Inform)
            | (Arrival::BootServer(_), RequestKind::Discover | RequestKind::Decline | RequestKind::Release) => {
                Err(Ignored::AddressesElsewhere)
            }
        }
    }

    /// Answers who looks for servers.
    fn offer(&self, request: &Request) -> Result<ProxyAction, Ignored> {
        let (mac, firmware) = (request.mac(), request.firmware());
        let classes = self.classes(request);
        let boot = self.boot_file(request, &classes)?;
        Ok(ProxyAction::Reply(Box::new(Reply {
            kind: ReplyKind::Offer,
            mac,
            firmware,
            address: Ipv4Addr::UNSPECIFIED,
            message: self.message(ReplyKind::Offer, request, &boot),
            destination: Destination::Broadcast,
            commit: None,
            probe: None,
            event: Some((mac, What::Directed { firmware })),
            class: class::membership(&classes, request),
        })))
    }

    /// Answers who asks the boot server.
    ///
    /// It goes to where the question came from and nowhere else: an address in the message may be anybody's.
    fn acknowledge(&self, request: &Request, sender: SocketAddrV4) -> Result<ProxyAction, Ignored> {
        let (mac, firmware, own) = (request.mac(), request.firmware(), self.config.server);
        let address = *sender.ip();
        if !own.hosts().contains(&address) || address == own.address() {
            return Err(Ignored::ForeignClient(address));
        }
        if let Some(other) = request.server.filter(|server| *server != own.address()) {
            return Err(Ignored::OtherServer(other));
        }
        let classes = self.classes(request);
        let boot = self.boot_file(request, &classes)?;
        Ok(ProxyAction::Reply(Box::new(Reply {
            kind: ReplyKind::Ack,
            mac,
            firmware,
            address,
            message: self.message(ReplyKind::Ack, request, &boot),
            destination: Destination::Sender(sender),
            commit: None,
            probe: None,
            event: Some((mac, What::Elsewhere { address: address.into(), firmware, server: None })),
            class: class::membership(&classes, request),
        })))
    }

    /// Takes note of who takes which server's address. One that is only prolonged means nothing.
    fn hear(&self, request: &Request) -> Result<ProxyAction, Ignored> {
        let (mac, firmware) = (request.mac(), request.firmware());
        let server = request.server.filter(|server| *server != self.config.server.address());
        let taken = request.requested.filter(|_| self.is_followed(request));
        let event = taken.map(|address| (mac, What::Elsewhere { address: address.into(), firmware, server }));
        if server.is_none() && event.is_none() {
            return Err(Ignored::AddressesElsewhere);
        }
        Ok(ProxyAction::Heard(Heard { server, event }))
    }

    /// Whether the client's boot is any of ours: a network may have many clients that are not.
    fn is_followed(&self, request: &Request) -> bool {
        self.inventory.by_mac(request.mac()).is_some() || self.boot_file(request, &self.classes(request)).is_ok()
    }

    /// The classes that the client is of, in their order.
    fn classes(&self, request: &Request) -> Vec<&Class> {
        self.config.classes.iter().filter(|class| class.members.selects(request)).collect()
    }

    /// What a network boot client that is answered is to boot.
    fn boot_file(&self, request: &Request, classes: &[&Class]) -> Result<BootFile, Ignored> {
        let mac = request.mac();
        if !request.firmware().boots_from_the_network() {
            return Err(Ignored::AddressesElsewhere);
        }
        let machine = self.inventory.by_mac(mac);
        if machine.is_none() && self.config.audience == Audience::Known {
            return Err(Ignored::Stranger(mac));
        }
        let source = Source { server: self.config.server.address(), base: self.config.base, profiles: &self.profiles };
        match source.boot_file(request, machine.map(Arc::as_ref), classes) {
            BootFile::None => Err(Ignored::NothingToBoot(mac)),
            boot @ (BootFile::Tftp { .. } | BootFile::Http { .. } | BootFile::Script { .. }) => Ok(boot),
        }
    }

    fn message(&self, kind: ReplyKind, request: &Request, boot: &BootFile) -> Vec<u8> {
        reply::directions(kind, self.config.server.address(), request, boot)
    }
}
