//! What a configuration comes to in this network.
//!
//! Whoever holds a plan need not check it again. A plan is published whole: services work by the newest, from their next packet on.

use std::sync::Arc;

use pxe_proto::boot::BaseUrl;
use pxe_proto::firmware::Quirks;
use pxe_proto::{dhcp, dhcp6};
use tokio::sync::watch;

use crate::config::Config;
use crate::dns;
use crate::interface::Interface;
use crate::lab::{Lab, Unfit, quirks};
use crate::lab6::Lab6;
use crate::nat;

/// A configuration, fitted to the network.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// As a person wrote it.
    pub(crate) config: Config,
    /// The lab's networks.
    pub(crate) lab: Lab,
    /// Firmware with faults, and what is done about them.
    pub(crate) quirks: Quirks,
    /// The lab's IPv6 network, where it has one.
    pub(crate) ipv6: Option<Lab6>,
    /// Which names are answered, where they are.
    pub(crate) dns: Option<dns::Plan>,
    /// The machines' way out, where they have one.
    pub(crate) nat: Option<nat::Plan>,
    /// Where HTTP is served; what the configuration says, until it is bound.
    pub(crate) ports: HttpPorts,
    /// The same by TLS; nothing where it is not.
    pub(crate) tls_ports: Option<HttpPorts>,
}

/// The TCP ports that HTTP is served at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HttpPorts {
    pub(crate) ipv4: u16,
    pub(crate) ipv6: u16,
}

/// By which protocol somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Ipv4,
    Ipv6,
}

/// The plan that is at work, now and later.
pub(crate) type Plans = watch::Receiver<Arc<Plan>>;

impl Plan {
    /// Fits a configuration to the interface that machines boot on; without one it can only be for HTTP alone.
    ///
    /// # Errors
    /// Something in it does not fit the network, for good or until the interface has its address.
    pub(crate) fn new(config: Config, interface: Option<&Interface>) -> Result<Self, Unfit> {
        let lab = Lab::new(&config, interface)?;
        let quirks = quirks::fitted(&config)?;
        let ports = HttpPorts::both(config.http.port.0);
        let tls_ports = config.http.tls.as_ref().map(|tls| HttpPorts::both(tls.port.0));
        let Some(interface) = interface else {
            return Ok(Self { config, lab, quirks, ipv6: None, dns: None, nat: None, ports, tls_ports });
        };
        let ipv6 = Lab6::new(&config, interface)?;
        let dns = dns::Plan::new(&config, &lab, ipv6.as_ref())?;
        let nat = nat::Plan::new(&config, interface)?;
        Ok(Self { config, lab, quirks, ipv6, dns, nat, ports, tls_ports })
    }

    /// How machines reach the HTTP server that ask by this family.
    pub(crate) fn url(&self, family: Family) -> BaseUrl {
        match (family, &self.ipv6) {
            (Family::Ipv6, Some(lab)) => BaseUrl::new(lab.server.address().into(), self.ports.ipv6),
            (Family::Ipv4, _) | (Family::Ipv6, None) => self.lab.base_url(self.ports.ipv4),
        }
    }

    /// The same by TLS, where it is served.
    pub(crate) fn secure_url(&self, family: Family) -> Option<BaseUrl> {
        let HttpPorts { ipv4, ipv6 } = self.tls_ports?;
        let port = match family {
            Family::Ipv4 => ipv4,
            Family::Ipv6 => ipv6,
        };
        Some(self.url(family).secure(port))
    }

    /// Where our own boot programs go on: by TLS, where they trust its certificate.
    pub(crate) fn boot_url(&self, family: Family) -> BaseUrl {
        let trusted = self.config.tls().is_some_and(|files| files.authority.is_some());
        self.secure_url(family).filter(|_| trusted).unwrap_or(self.url(family))
    }

    /// What the DHCP engine is told; `probes` is whether the link can be asked who has an address.
    pub(crate) fn dhcp(&self, probes: bool) -> dhcp::Config {
        self.lab.engine(&self.config, self.url(Family::Ipv4), probes)
    }

    /// What is told who says what to boot where another server gives the addresses.
    pub(crate) fn proxy(&self) -> dhcp::ProxyConfig {
        self.lab.proxy(&self.config, self.url(Family::Ipv4))
    }

    /// What the DHCPv6 engine is told, where the lab has IPv6; `duid` is how machines know this server.
    pub(crate) fn dhcp6(&self, duid: &[u8]) -> Option<dhcp6::Config> {
        let lab = self.ipv6.as_ref()?;
        Some(lab.engine(&self.config, duid.to_vec(), self.url(Family::Ipv6)))
    }
}

impl HttpPorts {
    fn both(port: u16) -> Self {
        Self { ipv4: port, ipv6: port }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_shipped_example_fits_the_network_that_it_is_for() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples"));
        let files = std::fs::read_dir(folder).expect("the examples").flatten().map(|entry| entry.path());
        let examples: Vec<_> = files.filter(|path| path.is_file()).collect();
        assert!(examples.len() >= 6, "{examples:?}");

        for example in examples {
            let config = Config::read(&example).expect("an example");
            let interface = config.lab.interface.as_ref().map(|name| Interface {
                name: name.get_ref().clone(),
                index: 2,
                addresses: vec!["10.77.0.1/24".parse().expect("a network")],
                ipv6: Vec::new(),
                lasting_ipv6: None,
            });

            let plan = Plan::new(config, interface.as_ref());

            assert!(plan.is_ok(), "{}: {plan:?}", example.display());
        }
    }

    /// A plan for HTTP alone, which stays.
    pub(crate) fn published(text: &str) -> Plans {
        let config = Config::parse(Path::new("config.toml"), text.to_owned()).expect("a configuration");
        watch::channel(Arc::new(Plan::new(config, None).expect("it fits"))).1
    }
}
