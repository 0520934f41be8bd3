//! The decisions (RFC 2131 §4.3).

use std::mem;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lab_model::{Inventory, MacAddr, What};

use super::boot_file::Source;
use super::claimants::{Claimants, Word};
use super::link::{Applicant, Link};
use super::probes::{Probe, Probes};
use super::reply::{self, Parameters};
use super::{
    Class, Config, Destination, Ignored, LeaseRecord, LeaseState, NotTakenOver, Refusal, Reply, ReplyKind, Request,
    RequestKind, Subnet, Verdict, class,
};
use crate::boot::Profiles;

/// Gives addresses to clients and says what they boot.
///
/// - A machine's reservation goes before everything else. While somebody else still has the address, or it is on
///   probation, the machine gets one from the pool: it is to boot, and moves when it next asks.
/// - An address is kept from the offer on, so that no two clients are ever offered the same.
/// - An address that is new to a client is offered when nobody on the link says that it is theirs; one that is reserved for the
///   client is offered at once, and taken back if somebody says so later. Nobody waits for another's probe.
/// - When a reservation changes, the old lease ends with a DHCPNAK as soon as its holder asks to prolong it. Nobody else
///   gets the address before that lease has ended, or its holder has taken another.
/// - A client that a lone (authoritative) server does not know keeps the address it has, if it could be given that
///   address: so a lost journal disturbs nobody.
/// - Each link is served by itself: a machine that is on two of them, as one with VLANs is, has an address on each. On a link that
///   several subnets share it has one.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    inventory: Arc<Inventory>,
    profiles: Arc<Profiles>,
    /// The server's own link first.
    links: Vec<Link>,
    probes: Probes,
    claimants: Claimants,
    /// Leases on subnets that are not served any more: who has one may use it until it ends.
    strays: Vec<LeaseRecord>,
}

/// What is to be done about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this.
    Reply(Box<Reply>),
    /// Keep this: the client gave an address back, or declined it. Nothing is sent.
    Record(Box<Change>),
    /// Ask the link whether somebody has this address, and tell [`Engine::handle_probe`] what came of it, before the client asks
    /// again if possible. Nothing is sent to the client yet.
    Probe(Ipv4Addr),
    /// Tell the owner that this host says of more addresses that they are its own than one host has. Its word does not count any more,
    /// until it has been silent for as long as an address is on probation.
    Doubt(MacAddr),
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

/// Which of the engine's links.
type Place = usize;

/// The server's own link.
const HERE: Place = 0;

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

/// Who asks for what, and from where.
#[derive(Clone, Copy)]
struct Asker<'a> {
    request: &'a Request,
    place: Place,
    classes: &'a [usize],
}

/// An address that is offered or confirmed.
struct Grant {
    address: Ipv4Addr,
    commit: Option<LeaseRecord>,
    /// Whether the machine's boot got further by it.
    is_told: bool,
    /// Whether the link is asked about it meanwhile.
    is_probed: bool,
}

impl Engine {
    /// An engine that knows of no lease yet.
    pub fn new(config: Config, inventory: Arc<Inventory>) -> Self {
        let links = links(&config);
        let mut engine = Self {
            config,
            inventory: Arc::default(),
            profiles: Arc::default(),
            links,
            probes: Probes::default(),
            claimants: Claimants::default(),
            strays: Vec::new(),
        };
        engine.set_inventory(inventory);
        engine
    }

    /// Takes up a lease from the journal; they come in the order in which they were written, before the first request.
    pub fn restore(&mut self, lease: LeaseRecord) {
        if let Some(place) = self.place_of(lease.address) {
            self.links[place].restore(lease);
        }
    }

    /// Takes over a lease that another server gave, after what the journal had and before the first request. Whoever has an
    /// address from us keeps it: so of several leases the newest comes first.
    ///
    /// # Errors
    /// The client is not to have the address from us.
    pub fn take_over(&mut self, lease: LeaseRecord, now: SystemTime) -> Result<(), NotTakenOver> {
        let place = self.place_of(lease.address).ok_or(NotTakenOver::Outside)?;
        let reserved = self.inventory.by_mac(lease.mac).and_then(|machine| machine.address);
        self.advance(now);
        self.links[place].take_over(lease, reserved)
    }

    /// Decides what is done about a request that arrived `now`.
    pub fn handle(&mut self, request: &Request, now: SystemTime) -> Action {
        self.advance(now);
        self.decide(request).unwrap_or_else(Action::Ignore)
    }

    /// Decides what is done now that it is known whether somebody has the address that the link was asked about. Each probe has one
    /// verdict; a second one does nothing.
    ///
    /// An address that another host has is on probation, as if the client had declined it, and the client gets another; unless that
    /// host says so of very many.
    pub fn handle_probe(&mut self, address: Ipv4Addr, verdict: Verdict, now: SystemTime) -> Vec<Action> {
        self.advance(now);
        let (Some(Probe { mac, request }), Some(place)) = (self.probes.close(address), self.place_of(address)) else {
            return Vec::new();
        };
        let word = match verdict {
            // The client itself may still have it up from the last time.
            Verdict::Taken(holder) if holder != mac => {
                let word = self.claimants.hear(holder, address, self.config.decline_hold, now.into());
                Some((holder, word))
            }
            Verdict::Taken(_) | Verdict::Free => None,
        };
        let link = &mut self.links[place];
        let is_still_offered = link.offered(mac) == Some(address);
        let consequence = match word {
            Some((holder, Word::Believed)) => {
                let declined = link.decline(mac, address, self.config.decline_hold);
                declined.map(|lease| Action::Record(Box::new(Change::declined(lease, Some(holder)))))
            }
            Some((holder, Word::DoubtedFromNowOn)) => Some(Action::Doubt(holder)),
            Some((_, Word::Doubted)) | None => None,
        };
        // Who was offered something else meanwhile, or took another server's offer, waits for nothing any more.
        let request = request.filter(|_| is_still_offered);
        let answer = request.map(|request| self.decide(&request).unwrap_or_else(Action::Ignore));
        consequence.into_iter().chain(answer).collect()
    }

    /// Works by this configuration from now on.
    ///
    /// No lease is lost: one whose client could not get the address any more ends with a DHCPNAK when the client asks to prolong
    /// it, as one does whose reservation has changed, and until then nobody else gets the address. A lease on a subnet that is
    /// gone counts again if the subnet comes back.
    pub fn set_config(&mut self, config: Config) {
        let before = mem::replace(&mut self.links, links(&config));
        self.config = config;
        let clock = before.iter().map(Link::clock).max().unwrap_or_default();
        let mut records = mem::take(&mut self.strays);
        records.extend(before.into_iter().flat_map(Link::into_records));
        // Where two subnets have become one, the newest lease of a machine is the one that it has.
        records.sort_by_key(|record| record.granted);
        for record in records {
            let stray = match self.place_of(record.address) {
                Some(place) => self.links[place].adopt(record).err(),
                None => Some(record),
            };
            self.strays.extend(stray.filter(|record| record.is_active(clock)));
        }
        self.set_inventory(self.inventory.clone());
    }

    /// Works from this inventory from now on.
    pub fn set_inventory(&mut self, inventory: Arc<Inventory>) {
        self.links.iter_mut().for_each(|link| link.reserve(&inventory));
        self.inventory = inventory;
    }

    /// Sends machines where these profiles say from now on.
    pub fn set_profiles(&mut self, profiles: Arc<Profiles>) {
        self.profiles = profiles;
    }

    /// Every lease that is to be kept, in the order of links, subnets and addresses: what a snapshot of the journal consists of.
    pub fn leases(&self) -> impl Iterator<Item = &LeaseRecord> {
        let strays = self.strays.iter().filter(|lease| lease.state != LeaseState::Offered);
        self.links.iter().flat_map(Link::kept).chain(strays)
    }

    /// The hosts whose word about addresses does not count, because they say so of very many ([`Action::Doubt`]).
    pub fn doubted(&self) -> impl Iterator<Item = MacAddr> {
        self.claimants.doubted()
    }

    /// The subnets that it serves, by link, the server's own first.
    pub fn links(&self) -> impl Iterator<Item = impl Iterator<Item = &Subnet>> {
        self.links.iter().map(Link::subnets)
    }

    fn advance(&mut self, now: SystemTime) {
        self.links.iter_mut().for_each(|link| link.advance(now.into()));
    }

    fn decide(&mut self, request: &Request) -> Result<Action, Ignored> {
        let place = self.place(request)?;
        let classes = self.classes(request);
        let asker = Asker { request, place, classes: &classes };
        let ours = [Some(self.config.server), request.relay_agent.server];
        if let Some(other) = request.server.filter(|server| !ours.contains(&Some(*server))) {
            // RFC 2131 §3.1, step 4: the servers that were not chosen take this as notice.
            self.links[place].withdraw(request.mac());
            return Err(Ignored::OtherServer(other));
        }
        match request.kind() {
            RequestKind::Discover => self.discover(asker),
            RequestKind::Request => self.request(asker),
            RequestKind::Decline => self.decline(request, place),
            RequestKind::Release => self.release(request, place),
            RequestKind::Inform => self.inform(asker),
        }
    }

    /// The link that the client is on: what somebody says of it goes before where the message comes from.
    fn place(&self, request: &Request) -> Result<Place, Ignored> {
        let relay = Some(request.relay()).filter(|relay| !relay.is_unspecified());
        // RFC 3527 §3: the relay's own address may be of any network then. RFC 3011 §2: clients that are not on the link
        // which they ask for, such as access servers; the relay knows better than they.
        let link = relay.and(request.relay_agent.link).or(request.subnet);
        if let Some(link) = link {
            let named = |subnet: &Subnet| subnet.network.contains(link);
            return self.links.iter().position(|other| other.subnets().any(named)).ok_or(Ignored::ForeignSubnet(link));
        }
        if let Some(relay) = relay {
            return self.place_of(relay).ok_or(Ignored::ForeignRelay(relay));
        }
        // RFC 2131 §4.3.2: who renews does so past the relay, with an address that says where it is.
        Ok(request.address_held().and_then(|address| self.place_of(address)).unwrap_or(HERE))
    }

    /// The link on which a host other than the server can have the address.
    fn place_of(&self, address: Ipv4Addr) -> Option<Place> {
        self.links.iter().position(|link| link.has(address))
    }

    /// RFC 2131 §4.3.1.
    fn discover(&mut self, asker: Asker<'_>) -> Result<Action, Ignored> {
        let Asker { request, place, .. } = asker;
        let applicant = self.applicant(asker);
        let mac = applicant.mac;
        let is_reserved = |address| applicant.reservation == Some(address);
        let link = &mut self.links[place];
        let address = link.choose(applicant, request.requested)?;
        if let Some(waiting) = self.probes.waiting(address, mac) {
            // It is answered by what it says last: a transaction that it gave up it no longer listens to.
            waiting.clone_from(request);
            return Err(Ignored::Probing(address));
        }
        let is_new = !link.is_known(address, mac);
        // A flood of made-up clients is to keep nobody else from booting: beyond the bound, addresses are offered unasked.
        let is_probed = self.config.probe && place == HERE && is_new && self.probes.have_room();
        link.offer(mac, address, self.config.offer_hold);
        if is_probed {
            let request = (!is_reserved(address)).then(|| Box::new(request.clone()));
            let is_awaited = request.is_some();
            self.probes.open(address, Probe { mac, request });
            if is_awaited {
                return Ok(Action::Probe(address));
            }
        }
        Ok(self.grant(ReplyKind::Offer, asker, Grant { address, commit: None, is_told: true, is_probed }))
    }

    /// RFC 2131 §4.3.2.
    fn request(&mut self, asker: Asker<'_>) -> Result<Action, Ignored> {
        let Asker { request, place, classes } = asker;
        let applicant = self.applicant(asker);
        let mac = applicant.mac;
        let in_use = Some(request.client_address).filter(|address| !address.is_unspecified());
        let (asked, address) = match (request.server, request.requested) {
            (Some(_), requested) => (Asked::Selecting, requested.or(in_use)),
            (None, Some(requested)) => (Asked::InitReboot, Some(requested)),
            (None, None) => (Asked::Renewing, in_use),
        };
        let address = address.ok_or(Ignored::NoAddress)?;
        let lease = self.lease(place, address, classes);
        let link = &mut self.links[place];
        let known = link.knows(mac) || applicant.reservation.is_some();
        if asked != Asked::Selecting && !known && !self.config.authoritative {
            return Err(Ignored::UnknownClient(mac));
        }
        match link.entitled(address, applicant) {
            Ok(()) => {
                let commit = link.bind(mac, address, request.hostname.clone(), lease);
                let is_told = asked != Asked::Renewing;
                Ok(self.grant(ReplyKind::Ack, asker, Grant { address, commit, is_told, is_probed: false }))
            }
            Err(reason) => Ok(self.refuse(request, place, address, reason)),
        }
    }

    /// RFC 2131 §4.3.3.
    fn decline(&mut self, request: &Request, place: Place) -> Result<Action, Ignored> {
        let mac = request.mac();
        let address = request.requested.ok_or(Ignored::NoAddress)?;
        let declined = self.links[place].decline(mac, address, self.config.decline_hold);
        let lease = declined.ok_or(Ignored::NotTheirs(mac, address))?;
        Ok(Action::Record(Box::new(Change::declined(lease, None))))
    }

    /// RFC 2131 §4.3.4.
    fn release(&mut self, request: &Request, place: Place) -> Result<Action, Ignored> {
        let (mac, address) = (request.mac(), request.client_address);
        let lease = self.links[place].release(mac, address).ok_or(Ignored::NotTheirs(mac, address))?;
        Ok(Action::Record(Box::new(Change { lease, event: None })))
    }

    /// RFC 2131 §4.3.5: the client has its address from elsewhere, so neither `yiaddr` nor a lease time is filled in.
    fn inform(&self, asker: Asker<'_>) -> Result<Action, Ignored> {
        let Asker { request, place, .. } = asker;
        let address = request.client_address;
        if address.is_unspecified() {
            return Err(Ignored::NoAddress);
        }
        if !self.links[place].has(address) {
            return Err(Ignored::ForeignClient(address));
        }
        let message = reply::message(ReplyKind::Ack, request, &self.parameters(asker, address, false));
        Ok(Action::Reply(Box::new(Reply {
            kind: ReplyKind::Ack,
            mac: request.mac(),
            firmware: request.firmware(),
            address,
            message,
            destination: destination(ReplyKind::Ack, request, place, None),
            commit: None,
            event: None,
            class: None,
            probe: None,
        })))
    }

    fn applicant<'a>(&self, Asker { request, place, classes }: Asker<'a>) -> Applicant<'a> {
        let mac = request.mac();
        let reserved = self.inventory.by_mac(mac).and_then(|machine| machine.address);
        let reservation = reserved.filter(|address| self.links[place].has(*address));
        Applicant { mac, classes, reservation }
    }

    /// The classes that the client is of, in their order.
    fn classes(&self, request: &Request) -> Vec<usize> {
        let classes = self.config.classes.iter().enumerate();
        classes.filter(|(_, class)| class.members.selects(request)).map(|(at, _)| at).collect()
    }

    fn classes_of(&self, asker: Asker<'_>) -> Vec<&Class> {
        asker.classes.iter().map(|class| &self.config.classes[*class]).collect()
    }

    /// How long a client of these classes may use the address.
    fn lease(&self, place: Place, address: Ipv4Addr, classes: &[usize]) -> Duration {
        let own = classes.iter().find_map(|class| self.config.classes[*class].lease);
        own.unwrap_or(self.links[place].subnet_of(address).lease)
    }

    fn grant(&self, kind: ReplyKind, asker: Asker<'_>, grant: Grant) -> Action {
        let Asker { request, place, .. } = asker;
        let Grant { address, commit, is_told, is_probed } = grant;
        let (mac, firmware) = (request.mac(), request.firmware());
        let what = match kind {
            ReplyKind::Offer => What::Offer { address: address.into(), firmware },
            ReplyKind::Ack | ReplyKind::Nak => What::Ack { address: address.into(), firmware },
        };
        Action::Reply(Box::new(Reply {
            kind,
            mac,
            firmware,
            address,
            message: reply::message(kind, request, &self.parameters(asker, address, true)),
            destination: destination(kind, request, place, Some(address)),
            commit,
            event: is_told.then_some((mac, what)),
            class: is_told.then(|| class::membership(&self.classes_of(asker), request)).flatten(),
            probe: is_probed.then_some(address),
        }))
    }

    fn refuse(&self, request: &Request, place: Place, address: Ipv4Addr, reason: Refusal) -> Action {
        let mac = request.mac();
        Action::Reply(Box::new(Reply {
            kind: ReplyKind::Nak,
            mac,
            firmware: request.firmware(),
            address,
            message: reply::refusal(self.config.server, request, reason),
            destination: destination(ReplyKind::Nak, request, place, None),
            commit: None,
            event: Some((mac, What::Nak { address: address.into(), reason: reason.to_string() })),
            class: None,
            probe: None,
        }))
    }

    /// What a client is told with this address, which it is given, or has from elsewhere.
    fn parameters<'a>(&'a self, asker: Asker<'a>, address: Ipv4Addr, is_given: bool) -> Parameters<'a> {
        let Asker { request, place, .. } = asker;
        let machine = self.inventory.by_mac(request.mac());
        let subnet = self.links[place].subnet_of(address);
        let classes = self.classes_of(asker);
        // RFC 2132 §9.2 counts in 32 bits, and RFC 2131 §3.3 takes the greatest value for eternity.
        let seconds = self.lease(place, address, asker.classes).as_secs().min(u64::from(u32::MAX - 1)) as u32;
        let source = Source { server: self.config.server, base: self.config.base, profiles: &self.profiles };
        Parameters {
            server: self.config.server,
            subnet,
            lease: is_given.then_some((address, seconds)),
            hostname: machine.map(|machine| machine.name.as_str()),
            boot: source.boot_file(request, machine.map(Arc::as_ref), &classes),
            settings: classes.iter().map(|class| &class.options).chain([&subnet.options]).collect(),
        }
    }
}

impl Change {
    /// What becomes of an address that somebody else has.
    fn declined(lease: LeaseRecord, holder: Option<MacAddr>) -> Self {
        let event = Some((lease.mac, What::Decline { address: lease.address.into(), holder }));
        Self { lease, event }
    }
}

/// The links of a configuration, where nobody has an address yet.
fn links(config: &Config) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    let (shared, first): (Vec<_>, Vec<_>) =
        [&config.lab].into_iter().chain(&config.relayed).partition(|subnet| subnet.link.is_some());
    for subnet in first.into_iter().chain(shared) {
        let others = |link: &&mut Link| {
            link.subnets().any(|other| subnet.link.is_some_and(|link| other.network.contains(link.address())))
        };
        match links.iter_mut().find(others) {
            Some(link) => link.add(subnet.clone(), &config.classes, config.server),
            None => links.push(Link::new(subnet.clone(), &config.classes, config.server)),
        }
    }
    links
}

/// Where the reply goes, considering that a client of another subnet need not be on this link.
fn destination(kind: ReplyKind, request: &Request, place: Place, address: Option<Ipv4Addr>) -> Destination {
    let destination = Destination::of(kind, request, address);
    let in_use = request.address_in_use();
    match (kind, destination) {
        // RFC 2131 §4.1 would have it broadcast, which no router passes on; the client still has its address.
        (ReplyKind::Nak, Destination::Broadcast) if place != HERE && !in_use.is_unspecified() => {
            Destination::Unicast(in_use)
        }
        // RFC 3011 §2: a client here that asks for an address elsewhere; on this link there is no way to that.
        (_, Destination::Hardware { .. }) if place != HERE => Destination::Broadcast,
        _ => destination,
    }
}
