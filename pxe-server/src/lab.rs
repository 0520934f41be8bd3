//! The lab as this server finds it: a configuration that fits the network.

mod classes;
pub(crate) mod quirks;
mod subnets;

use std::net::Ipv4Addr;
use std::time::Duration;

use lab_model::{Ipv4Net, Networks, ProfileName};
use pxe_proto::boot::BaseUrl;
use pxe_proto::dhcp;

use crate::config::{AddressRange, AddressRanges, Config, Invalid, Mode, Router};
use crate::interface::Interface;

/// What the services must know of the network. Whoever holds one need not check it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lab {
    /// The server's address, and the network that it and the machines are on.
    pub(crate) server: Ipv4Net,
    /// The addresses for machines that have none reserved; none where the network has no room.
    pub(crate) pool: AddressRanges,
    /// The router that machines are told.
    pub(crate) router: Option<Ipv4Addr>,
    /// The other networks: behind relay agents, or on a link that they share.
    pub(crate) relayed: Vec<dhcp::Subnet>,
    classes: Vec<dhcp::Class>,
    base_url: Option<BaseUrl>,
}

/// Why a configuration does not fit the network.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub(crate) enum Unfit {
    /// It never will.
    Invalid(#[from] Invalid),
    /// It does as soon as the interface is there and has its address.
    Absent(Invalid),
}

/// The most addresses that a pool has by itself: more would only cost memory under a flood of made-up clients.
const DEFAULT_POOL_LIMIT: u32 = 1024;

/// Longer than firmware takes from the offer to its request: EDK2 waits four seconds, and a slow one asks again.
pub(crate) const OFFER_HOLD: Duration = Duration::from_secs(60);

/// Long enough for somebody to find the host that uses an address without asking.
pub(crate) const DECLINE_HOLD: Duration = Duration::from_secs(600);

impl Lab {
    /// Fits a configuration to the interface that machines boot on; without one, the configuration's word is taken.
    ///
    /// # Errors
    /// The server has no such address yet, the pool is not of its network, or a subnet or class is wrong.
    pub(crate) fn new(config: &Config, interface: Option<&Interface>) -> Result<Self, Unfit> {
        let server = server(config, interface)?;
        without_effect(config)?;
        let pool = match &config.dhcp.pool {
            None if !config.gives_addresses() => AddressRanges::default(),
            Some(written) => {
                within(server, written.get_ref().ends())
                    .map_err(|problem| config.invalid("dhcp.pool", written, problem))?;
                written.get_ref().clone()
            }
            None => default_pool(server),
        };
        let router = match config.dhcp.router {
            None => Some(server.address()),
            Some(Router::At(address)) => Some(address),
            Some(Router::None) => None,
        };
        let relayed = subnets::relayed(config, server)?;
        let networks = Networks::new(server, relayed.iter().map(|subnet| subnet.network).collect());
        let classes = classes::fitted(config, &networks)?;
        Ok(Self { server, pool, router, relayed, classes, base_url: config.http.base_url })
    }

    /// What the DHCP engine is told; `base` is how machines reach the HTTP server, `probe` whether the link can be asked who has an
    /// address.
    pub(crate) fn engine(&self, config: &Config, base: BaseUrl, probe: bool) -> dhcp::Config {
        let lab = dhcp::Subnet {
            network: self.server,
            link: None,
            pool: self.pool.ranges(),
            lease: Duration::from_secs(config.dhcp.lease_seconds.0.into()),
            router: self.router,
            dns: config.name_servers(self.server.address()),
            domain: Some(config.lab.domain.clone()).filter(|domain| !domain.is_empty()),
            options: config.dhcp.options.clone(),
        };
        dhcp::Config {
            server: self.server.address(),
            lab,
            relayed: self.relayed.clone(),
            classes: self.classes.clone(),
            offer_hold: OFFER_HOLD,
            decline_hold: DECLINE_HOLD,
            authoritative: config.dhcp.authoritative,
            probe,
            base,
        }
    }

    /// What is told who gives no addresses; `base` is how machines reach the HTTP server.
    pub(crate) fn proxy(&self, config: &Config, base: BaseUrl) -> dhcp::ProxyConfig {
        let audience = match config.dhcp.mode {
            Mode::ProxyAll => dhcp::Audience::Everybody,
            Mode::Server | Mode::ProxyKnown => dhcp::Audience::Known,
        };
        dhcp::ProxyConfig { server: self.server, classes: self.classes.clone(), audience, base }
    }

    /// The profile that members of the class of this name have.
    pub(crate) fn profile_of_class(&self, name: &str) -> Option<&ProfileName> {
        self.classes.iter().find(|class| class.name == name)?.profile.as_ref()
    }

    /// Where machines can have their addresses.
    pub(crate) fn networks(&self) -> Networks {
        Networks::new(self.server, self.relayed.iter().map(|subnet| subnet.network).collect())
    }

    /// How machines reach the HTTP server that listens on `port`.
    pub(crate) fn base_url(&self, port: u16) -> BaseUrl {
        self.base_url.unwrap_or(BaseUrl::new(self.server.address().into(), port))
    }
}

/// What is about giving addresses may not be there where another server gives them: somebody would rely on it.
fn without_effect(config: &Config) -> Result<(), Invalid> {
    if config.gives_addresses() {
        return Ok(());
    }
    let problem = "has no effect, because another server gives the addresses (`mode` in [dhcp]): leave it out";
    if let Some(pool) = &config.dhcp.pool {
        return Err(config.invalid("dhcp.pool", pool, problem));
    }
    match config.dhcp.subnet.first() {
        Some(subnet) => Err(config.invalid("dhcp.subnet", &subnet.network, problem)),
        None => Ok(()),
    }
}

fn server(config: &Config, interface: Option<&Interface>) -> Result<Ipv4Net, Unfit> {
    match (&config.lab.address, interface) {
        (Some(written), None) => Ok(*written.get_ref()),
        (Some(written), Some(interface)) => {
            let address = *written.get_ref();
            if interface.addresses.contains(&address) {
                return Ok(address);
            }
            let problem = format!(
                "{address} is not an address of {interface}: add it with `ip address add {address} dev {}`, \
                 or leave the key out to use the interface's own",
                interface.name
            );
            Err(Unfit::Absent(config.invalid("lab.address", written, problem)))
        }
        (None, Some(interface)) => interface.addresses.first().copied().ok_or_else(|| {
            let problem = format!(
                "{name} has no IPv4 address: give it one with `ip address add 10.77.0.1/24 dev {name}`",
                name = interface.name
            );
            Unfit::Absent(config.missing("lab.address", problem))
        }),
        (None, None) => {
            let expected = "expected the address under which machines reach this server, such as `10.0.2.2/24`";
            Err(config.missing("lab.address", format!("missing: {expected}")).into())
        }
    }
}

/// What is wrong with these addresses, if not all are of the network's hosts.
fn within(network: Ipv4Net, addresses: impl IntoIterator<Item = Ipv4Addr>) -> Result<(), String> {
    let hosts = network.hosts();
    match addresses.into_iter().find(|address| !hosts.contains(address)) {
        None => Ok(()),
        Some(outside) => Err(format!(
            "{outside} is outside the lab network {network}: expected addresses from {} to {}",
            hosts.start(),
            hosts.end()
        )),
    }
}

/// The upper half of the network's hosts, without the server, or whoever has this address: the lower half is for
/// reservations.
fn default_pool(server: Ipv4Net) -> AddressRanges {
    upper_half(server).map(AddressRanges::from).unwrap_or_default()
}

fn upper_half(server: Ipv4Net) -> Option<AddressRange> {
    let (low, high) = (server.hosts().start().to_bits(), server.hosts().end().to_bits());
    let half = (high - low) / 2 + 1;
    let first = (low + half).max(high.saturating_sub(DEFAULT_POOL_LIMIT - 1));
    let own = server.address().to_bits();
    // The server inside its own pool: the longer of the two sides is the pool.
    let (first, last) = match own {
        _ if own < first || own > high => (first, high),
        _ if own - first > high - own => (first, own - 1),
        _ => (own.checked_add(1)?, high),
    };
    (first <= last).then(|| AddressRange { first: Ipv4Addr::from_bits(first), last: Ipv4Addr::from_bits(last) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_is_the_upper_half_of_any_network() {
        let pool = |server: &str| upper_half(server.parse().expect("a network")).map(|pool| pool.to_string());
        let range = |text: &str| Some(text.to_owned());

        assert_eq!(pool("10.77.0.1/24"), range("10.77.0.128-10.77.0.254"));
        assert_eq!(pool("10.77.0.254/24"), range("10.77.0.128-10.77.0.253"));
        assert_eq!(pool("10.77.0.130/24"), range("10.77.0.131-10.77.0.254"));
        assert_eq!(pool("10.77.0.1/29"), range("10.77.0.4-10.77.0.6"));
        assert_eq!(pool("10.77.0.1/30"), range("10.77.0.2-10.77.0.2"));
        assert_eq!(pool("10.77.0.2/30"), None);
        assert_eq!(pool("10.77.0.0/31"), range("10.77.0.1-10.77.0.1"));
        assert_eq!(pool("10.77.0.1/32"), None);
        assert_eq!(pool("10.0.0.1/8"), range("10.255.251.255-10.255.255.254"));
        assert_eq!(pool("255.255.255.255/0"), range("255.255.251.255-255.255.255.254"));
    }
}
