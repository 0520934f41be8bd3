//! The lab's IPv6 network.

use std::fmt;
use std::net::Ipv6Addr;
use std::ops::RangeInclusive;

/// An interface's IPv6 address with its prefix length, written `fd00:77::1/64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv6Net {
    address: Ipv6Addr,
    prefix: u8,
}

impl Ipv6Net {
    /// The address with its prefix length; `None` for a prefix over 128.
    pub const fn new(address: Ipv6Addr, prefix: u8) -> Option<Self> {
        if prefix <= 128 { Some(Self { address, prefix }) } else { None }
    }

    /// The address itself, with its host part.
    pub const fn address(self) -> Ipv6Addr {
        self.address
    }

    /// How many leading bits name the network, 0 to 128.
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// The network's own address: every host bit zero. Routers of the network answer to it (RFC 4291 §2.6.1).
    pub const fn network(self) -> Ipv6Addr {
        let mask = match self.prefix {
            0 => 0,
            prefix => u128::MAX << (128 - prefix as u32),
        };
        Ipv6Addr::from_bits(self.address.to_bits() & mask)
    }

    /// The addresses that hosts can have: all but the network's own, except in a /127 (RFC 6164) and a /128.
    pub const fn hosts(self) -> RangeInclusive<Ipv6Addr> {
        let first = self.network().to_bits();
        let last = match self.prefix {
            0 => u128::MAX,
            prefix => first | !(u128::MAX << (128 - prefix as u32)),
        };
        let first = if self.prefix >= 127 { first } else { first + 1 };
        RangeInclusive::new(Ipv6Addr::from_bits(first), Ipv6Addr::from_bits(last))
    }

    /// Whether `address` belongs to this network, its own address included.
    pub fn contains(self, address: Ipv6Addr) -> bool {
        Self { address, ..self }.network() == self.network()
    }
}

impl fmt::Display for Ipv6Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl std::str::FromStr for Ipv6Net {
    type Err = NotIpv6Net;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
            Self::new(address.parse().ok()?, prefix.parse().ok().filter(|_| digits)?)
        });
        parsed.ok_or_else(|| NotIpv6Net(text.to_owned()))
    }
}

/// The text is no IPv6 address with a prefix length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an IPv6 address with a prefix length: expected a form such as `fd00:77::1/64`")]
pub struct NotIpv6Net(String);

text_serde!(Ipv6Net);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own() {
        let network: Ipv6Net = "fd00:77::1/64".parse().expect("a network");

        assert_eq!((network.network().to_string(), network.to_string()), ("fd00:77::".into(), "fd00:77::1/64".into()));
        assert!(network.contains("fd00:77::ffff:1".parse().expect("an address")));
        assert!(!network.contains("fd00:77:0:1::1".parse().expect("an address")));
        let all: Ipv6Net = "::/0".parse().expect("a network");
        assert!(all.contains("ff02::1".parse().expect("an address")));
    }

    #[test]
    fn every_prefix_length_has_its_hosts() {
        let hosts = |text: &str| {
            let range = text.parse::<Ipv6Net>().expect("a network").hosts();
            format!("{} {}", range.start(), range.end())
        };

        assert_eq!(hosts("fd00:77::1/64"), "fd00:77::1 fd00:77::ffff:ffff:ffff:ffff");
        assert_eq!(hosts("fd00:77::1/127"), "fd00:77:: fd00:77::1");
        assert_eq!(hosts("fd00:77::1/128"), "fd00:77::1 fd00:77::1");
        assert_eq!(hosts("fd00:77::1/0"), "::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    }

    #[test]
    fn refuses_what_is_no_network() {
        for text in ["fd00::1", "fd00::1/129", "fd00::1/+64", "fd00::1/", "/64", "10.0.0.1/24"] {
            assert!(text.parse::<Ipv6Net>().is_err(), "{text}");
        }
    }
}
