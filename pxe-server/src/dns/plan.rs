//! What the service is to do, by a configuration that fits the network.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use pxe_proto::dns::{Config, Domain, Origin};

use super::resolv::{FILES, Upstreams};
use crate::config::{self, Invalid, NameServer};
use crate::lab::Lab;
use crate::lab6::Lab6;

/// What is answered, and whom else to ask. Whoever holds one need not check it again.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The lab's names and its network.
    pub(super) origin: Origin,
    queries_per_second: u32,
    upstreams: Option<Vec<SocketAddr>>,
    domain: String,
}

impl Plan {
    /// What the configuration wants in this lab; nothing, if it wants no names answered.
    ///
    /// # Errors
    /// A domain is none, or the server would ask itself.
    pub(crate) fn new(config: &config::Config, lab: &Lab, ipv6: Option<&Lab6>) -> Result<Option<Self>, Invalid> {
        if !config.answers_names() {
            return Ok(None);
        }
        let (server, ipv6) = (lab.server, ipv6.map(|lab| lab.server));
        let parse =
            |key, domain: &str| domain.parse::<Domain>().map_err(|error| config.missing(key, error.to_string()));
        let mut relayed = Vec::new();
        for subnet in &lab.relayed {
            let domain = parse("dhcp.subnet.domain", subnet.domain.as_deref().unwrap_or_default())?;
            relayed.push((subnet.network, domain));
        }
        let own = |upstream: &NameServer| {
            let address = upstream.0.ip();
            address == IpAddr::from(server.address()) || ipv6.is_some_and(|own| address == IpAddr::from(own.address()))
        };
        if let Some(written) = &config.dns.upstreams
            && let Some(NameServer(address)) = written.get_ref().iter().find(|upstream| own(upstream))
        {
            let problem = format!(
                "{} is this server itself: expected name servers elsewhere; leave the key out to ask this machine's own",
                address.ip()
            );
            return Err(config.invalid("dns.upstreams", written, problem));
        }
        let listed = config.dns.upstreams.as_ref().map(|written| written.get_ref().iter().map(|one| one.0).collect());
        Ok(Some(Self {
            origin: Origin { domain: parse("lab.domain", &config.lab.domain)?, server, ipv6, relayed },
            queries_per_second: config.dns.queries_per_second.0.into(),
            upstreams: listed,
            domain: config.lab.domain.clone(),
        }))
    }

    /// What the engine is told.
    pub(super) fn engine(&self) -> Config {
        let Origin { server, ipv6, relayed, .. } = &self.origin;
        let networks = [*server].into_iter().chain(relayed.iter().map(|(network, _)| *network));
        Config { networks: networks.collect(), ipv6: *ipv6, queries_per_second: self.queries_per_second }
    }

    /// Whom else to ask; needs a runtime.
    pub(super) fn upstreams(&self) -> Upstreams {
        match &self.upstreams {
            Some(listed) => Upstreams::listed(listed.clone()),
            None => {
                let ipv6 = self.origin.ipv6.map(|network| network.address().into());
                let own = [self.origin.server.address().into()].into_iter().chain(ipv6);
                Upstreams::of_this_machine(own.collect())
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.domain.as_str() {
            "" => f.write_str("machines' names; ")?,
            domain => write!(f, "names in {domain}; ")?,
        }
        match self.upstreams.as_deref() {
            None => write!(f, "others are asked of this machine's name servers ({})", FILES[0]),
            Some([]) => f.write_str("others are not answered"),
            Some(listed) => {
                let listed = listed.iter().map(|upstream| match upstream.port() {
                    53 => upstream.ip().to_string(),
                    _ => upstream.to_string(),
                });
                write!(f, "others are asked of {}", listed.collect::<Vec<_>>().join(", "))
            }
        }
    }
}
