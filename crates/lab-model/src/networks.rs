//! The IPv4 networks that machines can have addresses on: the server's own, and those that relay agents serve it.

use std::fmt;
use std::net::Ipv4Addr;

use crate::Ipv4Net;

/// Where machines can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks {
    server: Ipv4Net,
    relayed: Vec<Ipv4Net>,
}

impl Networks {
    /// The network of the server's own address, and those behind relay agents.
    pub fn new(server: Ipv4Net, relayed: Vec<Ipv4Net>) -> Self {
        Self { server, relayed }
    }

    /// The server's own address with its network.
    pub fn server(&self) -> Ipv4Net {
        self.server
    }

    /// The network on which a host can have this address; `None` where there is none.
    pub fn of(&self, address: Ipv4Addr) -> Option<Ipv4Net> {
        self.all().find(|network| network.hosts().contains(&address))
    }

    fn all(&self) -> impl Iterator<Item = Ipv4Net> {
        [self.server].into_iter().chain(self.relayed.iter().copied())
    }
}

impl From<Ipv4Net> for Networks {
    fn from(server: Ipv4Net) -> Self {
        Self::new(server, Vec::new())
    }
}

impl From<&Self> for Networks {
    fn from(networks: &Self) -> Self {
        networks.clone()
    }
}

/// The addresses that hosts can have, as `10.77.0.1 to 10.77.0.254 or 10.78.0.1 to 10.78.0.254`.
impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, network) in self.all().enumerate() {
            let hosts = network.hosts();
            write!(f, "{}{} to {}", if at > 0 { " or " } else { "" }, hosts.start(), hosts.end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_network_on_which_a_host_can_have_it() {
        let net = |text: &str| text.parse::<Ipv4Net>().expect("a network written in this test");
        let networks = Networks::new(net("10.77.0.1/24"), vec![net("10.78.0.0/22")]);
        let of = |text: &str| networks.of(text.parse().expect("an address"));

        assert_eq!(of("10.77.0.10"), Some(net("10.77.0.1/24")));
        assert_eq!(of("10.78.3.10"), Some(net("10.78.0.0/22")));
        assert_eq!((of("10.78.0.0"), of("10.79.0.10")), (None, None));
        assert_eq!(networks.to_string(), "10.77.0.1 to 10.77.0.254 or 10.78.0.1 to 10.78.3.254");
    }
}
