//! The lab's IPv6 network, where it has one: what the configuration says, fitted to the interface.
//!
//! IPv6 is served where the configuration names an address, or the interface has one for good. What is bound to it may be bound
//! before the interface has it: an IPv6 address is usable only a while after it was set, and nothing of IPv4 is to wait for that.

use std::fmt;
use std::time::Duration;

use lab_model::Ipv6Net;
use pxe_proto::radv;

use crate::config::{Config, Invalid};
use crate::interface::Interface;

/// What the services must know of the IPv6 network. Whoever holds one need not check it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lab6 {
    /// The server's address, and the network that it and the machines are on.
    pub(crate) server: Ipv6Net,
    /// What is advertised; `None` where another router does.
    pub(crate) advertised: Option<radv::Config>,
}

/// For how long after an advertisement machines get out by a router that leads somewhere (RFC 4861 §6.2.1, AdvDefaultLifetime).
const ROUTER_LIFETIME: Duration = Duration::from_secs(1800);

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
        let advertised = config.ra.advertise.then(|| advertised(config, server));
        Ok(Some(Self { server, advertised }))
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
}

impl fmt::Display for Lab6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advertised = if self.advertised.is_some() { "advertised" } else { "not advertised" };
        write!(f, "{}, {advertised}", self.server)
    }
}

/// Whether one host can have it, and be known by it on the whole network.
fn is_servers(network: Ipv6Net) -> bool {
    let address = network.address();
    let local = address.is_loopback() || address.is_unspecified() || address.is_unicast_link_local();
    let every_router = network.prefix() < 127 && address == network.network();
    !local && !address.is_multicast() && !every_router
}

fn advertised(config: &Config, server: Ipv6Net) -> radv::Config {
    let ra = &config.ra;
    let default = if config.nat.is_some() { ROUTER_LIFETIME } else { Duration::ZERO };
    radv::Config {
        prefix: server,
        autonomous: ra.autonomous,
        managed: false,
        router_lifetime: ra.router_lifetime_seconds.map_or(default, |seconds| Duration::from_secs(seconds.0.into())),
        dns: ra.dns.clone(),
        domain: Some(config.lab.domain.clone()).filter(|domain| !domain.is_empty()),
        mtu: ra.mtu.map(|mtu| mtu.0.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
