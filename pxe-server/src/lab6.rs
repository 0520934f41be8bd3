//! The lab's IPv6 network, where it has one: what the configuration says, fitted to the interface.
//!
//! IPv6 is served where the configuration names an address, or the interface has one for good. What is bound to it may be bound
//! before the interface has it: an IPv6 address is usable only a while after it was set, and nothing of IPv4 is to wait for that.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use lab_model::{Inventory, Ipv6Net, Role};
use pxe_proto::boot::BaseUrl;
use pxe_proto::{dhcp6, radv};

use crate::config::{AddressRange, Config, Invalid};
use crate::interface::Interface;
use crate::lab::{DECLINE_HOLD, OFFER_HOLD};

/// What the services must know of the IPv6 network. Whoever holds one need not check it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lab6 {
    /// The server's address, and the network that it and the machines are on.
    pub(crate) server: Ipv6Net,
    /// The addresses for machines that have none reserved; `None` where this server gives none at all.
    pub(crate) pool: Option<AddressRange<Ipv6Addr>>,
    /// What is advertised; `None` where another router does.
    pub(crate) advertised: Option<radv::Config>,
}

/// For how long after an advertisement machines get out by a router that leads somewhere (RFC 4861 §6.2.1, AdvDefaultLifetime).
const ROUTER_LIFETIME: Duration = Duration::from_secs(1800);

/// How many addresses a pool has by itself, and where it begins.
const DEFAULT_POOL: u128 = 0x1000;

impl Lab6 {
    /// Fits a configuration to the interface that machines boot on; `None` where neither has an IPv6 address.
    ///
    /// # Errors
    /// What is configured is no address that a server can have.
    pub(crate) fn new(config: &Config, interface: &Interface) -> Result<Option<Self>, Invalid> {
        let server = match &config.lab.address6 {
            Some(written) => {
                let network = *written.get_ref();
                if !is_servers(network) {
                    let problem = format!("{network} is no address of a server: expected one such as `fd00:77::1/64`");
                    return Err(config.invalid("lab.address6", written, problem));
                }
                network
            }
            None => match interface.lasting_ipv6 {
                Some(network) => network,
                None => return Ok(None),
            },
        };
        let pool = config.gives_ipv6_addresses().then(|| pool(config, server)).transpose()?;
        let advertised = config.advertises().then(|| advertised(config, server));
        Ok(Some(Self { server, pool, advertised }))
    }

    /// What the DHCPv6 engine is told; `base` is how machines reach the HTTP server, and `duid` how they know this one.
    pub(crate) fn engine(&self, config: &Config, duid: Vec<u8>, base: BaseUrl) -> dhcp6::Config {
        dhcp6::Config {
            server: self.server,
            duid,
            pool: self.pool.map(|pool| pool.first..=pool.last),
            lease: Duration::from_secs(config.dhcp6.lease_seconds.0.into()),
            offer_hold: OFFER_HOLD,
            decline_hold: DECLINE_HOLD,
            dns: config.name_servers6(self.server.address()),
            domain: Some(config.lab.domain.clone()).filter(|domain| !domain.is_empty()),
            names: config.answers_names(),
            authoritative: config.dhcp.authoritative,
            base,
        }
    }

    /// What keeps the interface from being used as configured.
    pub(crate) fn problem(&self, interface: &Interface) -> Option<String> {
        let Self { server, .. } = self;
        let name = &interface.name;
        (!interface.ipv6.contains(server)).then(|| {
            format!(
                "lab.address6: {server} is not an address of {name}: add it with `ip address add {server} dev {name}`"
            )
        })
    }

    /// The machines whose definition reserves an address that nobody here can be given, one sentence each.
    pub(crate) fn misplaced(&self, inventory: &Inventory) -> Vec<String> {
        let hosts = self.server.hosts();
        let targets = inventory.machines().filter(|machine| machine.role == Role::Target);
        let misplaced = targets.filter_map(|machine| {
            let address =
                machine.ipv6.filter(|address| !hosts.contains(address) || *address == self.server.address())?;
            let (name, server) = (&machine.name, self.server);
            Some(format!(
                "{name}: ipv6: {address} is no address of a machine in the lab network {server}, so it gets one of the pool"
            ))
        });
        misplaced.collect()
    }
}

impl fmt::Display for Lab6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advertised = if self.advertised.is_some() { "advertised" } else { "not advertised" };
        match self.pool {
            Some(pool) => write!(f, "{}, {advertised}, pool {pool}", self.server),
            None => write!(f, "{}, {advertised}, no DHCPv6", self.server),
        }
    }
}

/// Whether one host can have it, and be known by it on the whole network.
fn is_servers(network: Ipv6Net) -> bool {
    let address = network.address();
    let local = address.is_loopback() || address.is_unspecified() || address.is_unicast_link_local();
    let every_router = network.prefix() < 127 && address == network.network();
    !local && !address.is_multicast() && !every_router
}

/// The addresses as configured, or [`DEFAULT_POOL`] of them.
fn pool(config: &Config, server: Ipv6Net) -> Result<AddressRange<Ipv6Addr>, Invalid> {
    let hosts = server.hosts();
    let Some(written) = &config.dhcp6.pool else { return Ok(default_pool(server)) };
    let range = *written.get_ref();
    match [range.first, range.last].into_iter().find(|address| !hosts.contains(address)) {
        None => Ok(range),
        Some(outside) => {
            let (first, last) = (hosts.start(), hosts.end());
            let problem =
                format!("{outside} is outside the lab network {server}: expected addresses from {first} to {last}");
            Err(config.invalid("dhcp6.pool", written, problem))
        }
    }
}

/// `::1000` to `::1fff`: easy to tell from what people write by hand and from what machines make themselves. A network that is too
/// small for that gives its upper half.
fn default_pool(server: Ipv6Net) -> AddressRange<Ipv6Addr> {
    let (low, high) = (server.hosts().start().to_bits(), server.hosts().end().to_bits());
    let first = server.network().to_bits() | DEFAULT_POOL;
    let (first, last) = match server.prefix() {
        0..=112 => (first, first | (DEFAULT_POOL - 1)),
        _ => (low + (high - low) / 2 + u128::from(low < high), high),
    };
    AddressRange { first: Ipv6Addr::from_bits(first), last: Ipv6Addr::from_bits(last) }
}

fn advertised(config: &Config, server: Ipv6Net) -> radv::Config {
    let ra = &config.ra;
    let default = if config.nat.is_some() { ROUTER_LIFETIME } else { Duration::ZERO };
    radv::Config {
        prefix: server,
        autonomous: ra.autonomous,
        managed: config.gives_ipv6_addresses(),
        router_lifetime: ra.router_lifetime_seconds.map_or(default, |seconds| Duration::from_secs(seconds.0.into())),
        dns: config.name_servers6(server.address()),
        domain: Some(config.lab.domain.clone()).filter(|domain| !domain.is_empty()),
        mtu: ra.mtu.map(|mtu| mtu.0.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_fits_into_any_network() {
        let pool = |network: &str| default_pool(network.parse().expect("a network")).to_string();

        assert_eq!(pool("fd00:77::1/64"), "fd00:77::1000-fd00:77::1fff");
        assert_eq!(pool("fd00:77::1/112"), "fd00:77::1000-fd00:77::1fff");
        assert_eq!(pool("fd00:77::1/120"), "fd00:77::81-fd00:77::ff");
        assert_eq!(pool("fd00:77::1/127"), "fd00:77::1-fd00:77::1");
        assert_eq!(pool("fd00:77::1/128"), "fd00:77::1-fd00:77::1");
        assert_eq!(pool("fd00:77::1/0"), "::1000-::1fff");
    }

    #[test]
    fn a_server_has_an_address_of_its_own() {
        let can_have = |network: &str| is_servers(network.parse().expect("a network"));

        for good in ["fd00:77::1/64", "2001:db8::1/64", "2001:db8::/127", "fd00::77:1/128"] {
            assert!(can_have(good), "{good}");
        }
        for bad in ["fd00:77::/64", "fe80::1/64", "::1/128", "::/0", "ff02::1/64"] {
            assert!(!can_have(bad), "{bad}");
        }
    }
}
