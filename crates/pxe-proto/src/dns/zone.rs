//! The lab's own names and addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use domain::base::iana::Rtype;
use lab_model::{Inventory, Ipv4Net, Ipv6Net, MacAddr, MachineName};

use super::Name;
use super::block::Block;
use super::query::Query;
use super::reply::{Authority, Data, Verdict};
use crate::dhcp::UnixSeconds;

/// The domain that machines belong to; there may be none, and then their names stand alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain(Option<Name>);

/// The text is no domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a domain: expected labels of 1 to 63 of `a-z`, `0-9` and `-` with full stops between them, up to 180 in all, such as `pvmlab.local`"
)]
pub struct NotADomain(String);

/// What of the lab's names never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The domain of its names.
    pub domain: Domain,
    /// The server's address, with the network whose addresses are answered for.
    pub server: Ipv4Net,
    /// The same for IPv6.
    pub ipv6: Option<Ipv6Net>,
    /// The networks behind relay agents, each with the domain that its machines are told.
    pub relayed: Vec<(Ipv4Net, Domain)>,
}

/// An address that a client has by DHCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease<'a, A = Ipv4Addr> {
    /// Who.
    pub mac: MacAddr,
    /// Which.
    pub address: A,
    /// The last second in which it has it.
    pub expires: UnixSeconds,
    /// What the client calls itself.
    pub hostname: Option<&'a MachineName>,
}

/// A client by the name that it calls itself, with the addresses that it has.
#[derive(Clone, Copy, Debug)]
struct Client<'a> {
    mac: MacAddr,
    hostname: &'a MachineName,
    ipv4: Option<Ipv4Addr>,
    ipv6: Option<Ipv6Addr>,
}

/// What is known of the lab's names.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a, L, L6> {
    /// The machines by definition.
    pub inventory: &'a Inventory,
    /// Who has, and last had, which address.
    pub leases: L,
    /// The same for IPv6.
    pub leases6: L6,
}

/// Every name and address of the lab at one moment. It is built whole, never changed.
///
/// A name is its machine's by definition, else the server's, else that of the client which has it by DHCP, as long as its
/// lease lasts.
#[derive(Clone, Debug)]
pub struct Zone {
    /// None where names stand alone.
    domains: Vec<Name>,
    server: Name,
    networks: Vec<Block>,
    hosts: BTreeMap<Name, Host>,
    addresses: BTreeMap<u128, Name>,
    ends: Option<UnixSeconds>,
}

/// What a name leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Host {
    ipv4: Option<Ipv4Addr>,
    ipv6: Vec<Ipv6Addr>,
    /// The client that has the name by DHCP alone.
    client: Option<MacAddr>,
}

/// What the server is called in the lab's domain.
pub const SERVER_NAME: &str = "pxe";

/// Names that no client has by only saying so: programs look for them without being told, and believe whom they find.
const RESERVED: [&str; 4] = [SERVER_NAME, "localhost", "wpad", "isatap"];

/// A domain leaves room for a name before it: 255 bytes, a machine's 64, and some for what stands before that.
const LONGEST: usize = 180;

impl FromStr for Domain {
    type Err = NotADomain;

    /// Reads a domain, empty for none; a full stop at its end does no harm.
    fn from_str(text: &str) -> Result<Self, NotADomain> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() && text.is_empty() {
            return Ok(Self(None));
        }
        let is_label = |label: &str| label.to_ascii_lowercase().parse::<MachineName>().is_ok();
        let fits = name.len() <= LONGEST && name.split('.').all(is_label);
        let name = Name::vec_from_str(name).ok().filter(|_| fits);
        name.map(|name| Self(Some(name))).ok_or_else(|| NotADomain(text.to_owned()))
    }
}

impl Domain {
    fn name(&self, label: &str) -> Name {
        let name = match &self.0 {
            Some(domain) => Name::vec_from_str(&format!("{label}.{domain}")),
            None => Name::vec_from_str(label),
        };
        name.expect("a label before a domain that leaves room for it")
    }
}

impl Origin {
    /// What a host of this label and address is called: in the domain that it is told first, then in the lab's.
    fn names(&self, label: &str, address: Option<Ipv4Addr>) -> Vec<Name> {
        let told = address.and_then(|address| self.relayed.iter().find(|(network, _)| network.contains(address)));
        let told = told.map(|(_, domain)| domain).filter(|domain| domain.0.is_some() && **domain != self.domain);
        told.into_iter().chain([&self.domain]).map(|domain| domain.name(label)).collect()
    }
}

impl Zone {
    /// Puts together what the lab's names are now. Of clients that call themselves the same, the one that had the name in
    /// `previous` keeps it, else the one with the least address gets it.
    pub fn build<'a>(
        origin: &Origin,
        sources: Sources<'_, impl Iterator<Item = Lease<'a>>, impl Iterator<Item = Lease<'a, Ipv6Addr>>>,
        previous: Option<&Self>,
        now: UnixSeconds,
    ) -> Self {
        let Sources { inventory, leases, leases6 } = sources;
        let server = origin.domain.name(SERVER_NAME);
        let relayed = origin.relayed.iter();
        let ipv4 = [origin.server].into_iter().chain(relayed.clone().map(|(network, _)| *network));
        let ipv4 = ipv4.map(|network| Block::v4(network.address(), network.prefix()));
        let ipv6 = origin.ipv6.map(|network| Block::v6(network.address(), network.prefix()));
        let domains = [&origin.domain].into_iter().chain(relayed.map(|(_, domain)| domain));
        let mut zone = Self {
            domains: domains.filter_map(|domain| domain.0.clone()).collect(),
            server: server.clone(),
            networks: ipv4.chain(ipv6).collect(),
            hosts: BTreeMap::new(),
            addresses: BTreeMap::new(),
            ends: None,
        };
        let mut latest6 = BTreeMap::new();
        for lease in leases6 {
            zone.end_with(lease.expires, now);
            keep_latest(&mut latest6, lease);
        }
        let mut latest = BTreeMap::new();
        let mut named = BTreeSet::new();
        for lease in leases {
            if zone.end_with(lease.expires, now)
                && let Some(hostname) = lease.hostname
            {
                let ipv6 = latest6.get(&lease.mac).filter(|lease| lease.expires >= now).map(|lease| lease.address);
                let client = Client { mac: lease.mac, hostname, ipv4: Some(lease.address), ipv6 };
                zone.add_client(&client, origin, inventory, previous);
                named.insert(lease.mac);
            }
            keep_latest(&mut latest, lease);
        }
        // Who says its name by DHCPv6 alone.
        for lease in latest6.values().filter(|lease| lease.expires >= now && !named.contains(&lease.mac)) {
            let Some(hostname) = lease.hostname else { continue };
            let ipv4 = latest.get(&lease.mac).filter(|lease| lease.expires >= now).map(|lease| lease.address);
            let client = Client { mac: lease.mac, hostname, ipv4, ipv6: Some(lease.address) };
            zone.add_client(&client, origin, inventory, previous);
        }
        let ipv6 = origin.ipv6.iter().map(|network| network.address()).collect();
        zone.add(vec![server], Host { ipv4: Some(origin.server.address()), ipv6, client: None });
        for machine in inventory.machines() {
            let ipv4 = whereabouts(latest.get(&machine.mac), machine.address, now);
            let ipv6 = whereabouts(latest6.get(&machine.mac), machine.ipv6, now);
            let host = Host { ipv4, ipv6: ipv6.into_iter().collect(), client: None };
            zone.add(origin.names(machine.name.as_str(), ipv4), host);
        }
        zone
    }

    /// Is outdated after this moment, if that is still to come: whether it is.
    fn end_with(&mut self, expires: UnixSeconds, now: UnixSeconds) -> bool {
        let is_to_come = expires >= now;
        if is_to_come {
            self.ends = Some(self.ends.map_or(expires, |ends| ends.min(expires)));
        }
        is_to_come
    }

    /// Whether a lease has ended since it was built.
    pub fn is_outdated(&self, now: UnixSeconds) -> bool {
        self.ends.is_some_and(|ends| ends < now)
    }

    /// What there is to say about a name of the lab, or an address of its network; nothing where others must be asked.
    pub(super) fn find(&self, query: &Query) -> Option<Verdict> {
        let Some((block, exact)) = Block::of(&query.name) else { return self.find_name(query) };
        let network = self.networks.iter().find(|network| network.holds(&block));
        let known = block.only().is_some_and(|address| exact && self.addresses.contains_key(&address));
        let zone = network.or_else(|| known.then_some(&block))?.zone_of(&block);
        Some(self.find_block(query, &block, exact, Authority { apex: zone, server: self.server.clone() }))
    }

    /// What there is to say about the name of a block that this authority is responsible for.
    pub(super) fn find_block(&self, query: &Query, block: &Block, exact: bool, authority: Authority) -> Verdict {
        let name = block.only().and_then(|address| self.addresses.get(&address));
        let data = match name.filter(|_| exact) {
            Some(name) => vec![Data::Ptr(name.clone())],
            None if query.name == authority.apex => vec![Data::Soa, Data::Ns],
            None => Vec::new(),
        };
        // A name that has others below it is there (RFC 8020 §2).
        let above = exact && self.addresses.range(block.addresses()).next().is_some();
        Verdict { exists: above || !data.is_empty(), data: asked(data, query.rtype), authority }
    }

    /// Whether a domain of the lab is below this name, which therefore is there.
    pub(super) fn is_below(&self, name: &Name) -> bool {
        self.domains.iter().any(|domain| domain.ends_with(name))
    }

    fn find_name(&self, query: &Query) -> Option<Verdict> {
        let host = self.hosts.get(&query.name);
        let domains = self.domains.iter().filter(|domain| query.name.ends_with(*domain));
        let apex = domains.max_by_key(|domain| domain.len()).or_else(|| host.map(|_| &query.name))?;
        let mut data = host.map(Host::data).unwrap_or_default();
        let is_apex = query.name == *apex;
        if is_apex {
            data.extend([Data::Soa, Data::Ns]);
        }
        let authority = Authority { apex: apex.clone(), server: self.server.clone() };
        Some(Verdict { exists: host.is_some() || is_apex, data: asked(data, query.rtype), authority })
    }

    /// Adds a client by the name that it calls itself, if it may have that.
    fn add_client(&mut self, client: &Client<'_>, origin: &Origin, inventory: &Inventory, previous: Option<&Self>) {
        let Client { mac, hostname, ipv4, ipv6 } = *client;
        if inventory.by_mac(mac).is_some()
            || inventory.by_name(hostname).is_some()
            || RESERVED.contains(&hostname.as_str())
        {
            return;
        }
        let name = origin.domain.name(hostname.as_str());
        let holder = previous.and_then(|previous| previous.hosts.get(&name)?.client);
        if let Some(taken) = self.hosts.get(&name).cloned() {
            if holder != Some(mac) {
                return;
            }
            // Whoever got the name before its holder came has none.
            origin.names(hostname.as_str(), taken.ipv4).iter().for_each(|name| drop(self.hosts.remove(name)));
            for address in taken.addresses() {
                Block::one(address).only().and_then(|address| self.addresses.remove(&address));
            }
        }
        let host = Host { ipv4, ipv6: ipv6.into_iter().collect(), client: Some(mac) };
        self.add(origin.names(hostname.as_str(), ipv4), host);
    }

    /// Adds a host under all of its names, of which its addresses lead to the first.
    fn add(&mut self, names: Vec<Name>, host: Host) {
        for address in host.addresses() {
            if let (Some(address), Some(name)) = (Block::one(address).only(), names.first()) {
                self.addresses.insert(address, name.clone());
            }
        }
        self.hosts.extend(names.into_iter().map(|name| (name, host.clone())));
    }
}

/// Where a machine is, else where it is to be, else where it was.
fn whereabouts<A: Copy>(latest: Option<&Lease<'_, A>>, reserved: Option<A>, now: UnixSeconds) -> Option<A> {
    let current = latest.filter(|lease| lease.expires >= now).map(|lease| lease.address);
    current.or(reserved).or(latest.map(|lease| lease.address))
}

/// A machine may have an address of each network; where it asked last, it is.
fn keep_latest<'a, A: Copy>(latest: &mut BTreeMap<MacAddr, Lease<'a, A>>, lease: Lease<'a, A>) {
    let last = latest.entry(lease.mac).or_insert(lease);
    if lease.expires > last.expires {
        *last = lease;
    }
}

impl Host {
    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let ipv4 = self.ipv4.map(IpAddr::V4);
        ipv4.into_iter().chain(self.ipv6.iter().copied().map(IpAddr::V6))
    }

    fn data(&self) -> Vec<Data> {
        self.ipv4.map(Data::A).into_iter().chain(self.ipv6.iter().copied().map(Data::Aaaa)).collect()
    }
}

/// Of what a name has, what was asked for.
pub(super) fn asked(data: Vec<Data>, rtype: Rtype) -> Vec<Data> {
    let wanted = |data: &Data| {
        let kind = match data {
            Data::A(_) => Rtype::A,
            Data::Aaaa(_) => Rtype::AAAA,
            Data::Ptr(_) => Rtype::PTR,
            Data::Ns => Rtype::NS,
            Data::Soa => Rtype::SOA,
        };
        rtype == kind || rtype == Rtype::ANY
    };
    data.into_iter().filter(wanted).collect()
}
