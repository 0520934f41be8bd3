//! The lab's IPv4 network, of any prefix length.

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

/// An interface's address with its prefix length, written `10.77.0.1/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv4Net {
    address: Ipv4Addr,
    prefix: u8,
}

impl Ipv4Net {
    /// The address with its prefix length; `None` for a prefix over 32.
    pub const fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        if prefix <= 32 { Some(Self { address, prefix }) } else { None }
    }

    /// The address itself, with its host part.
    pub const fn address(self) -> Ipv4Addr {
        self.address
    }

    /// How many leading bits name the network, 0 to 32.
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// The prefix as a mask, such as `255.255.255.0`.
    pub const fn netmask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(match self.prefix {
            0 => 0,
            prefix => u32::MAX << (32 - prefix as u32),
        })
    }

    /// The network's own address: every host bit zero.
    pub const fn network(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() & self.netmask().to_bits())
    }

    /// The network's broadcast address: every host bit one (RFC 922 §7).
    pub const fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !self.netmask().to_bits())
    }

    /// Whether `address` belongs to this network, its first and last address included.
    pub const fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.netmask().to_bits() == self.network().to_bits()
    }

    /// The addresses that hosts can have: without the network's and the broadcast address, except in a /31 (RFC 3021) and a /32.
    pub const fn hosts(self) -> RangeInclusive<Ipv4Addr> {
        if self.prefix >= 31 {
            return RangeInclusive::new(self.network(), self.broadcast());
        }
        let first = Ipv4Addr::from_bits(self.network().to_bits() + 1);
        RangeInclusive::new(first, Ipv4Addr::from_bits(self.broadcast().to_bits() - 1))
    }
}

impl fmt::Display for Ipv4Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl std::str::FromStr for Ipv4Net {
    type Err = NotIpv4Net;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
            Self::new(address.parse().ok()?, prefix.parse().ok().filter(|_| digits)?)
        });
        parsed.ok_or_else(|| NotIpv4Net(text.to_owned()))
    }
}

/// The text is no address with a prefix length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an IPv4 address with a prefix length: expected a form such as `10.77.0.1/24`")]
pub struct NotIpv4Net(String);

text_serde!(Ipv4Net);

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().expect("a network written in this test")
    }

    #[test]
    fn every_prefix_length_has_its_hosts() {
        let hosts = |text| {
            let range = net(text).hosts();
            (range.start().to_string(), range.end().to_string())
        };
        let pair = |first: &str, last: &str| (first.to_owned(), last.to_owned());

        assert_eq!(hosts("10.77.0.1/24"), pair("10.77.0.1", "10.77.0.254"));
        assert_eq!(hosts("10.77.200.1/17"), pair("10.77.128.1", "10.77.255.254"));
        assert_eq!(hosts("10.77.0.1/30"), pair("10.77.0.1", "10.77.0.2"));
        assert_eq!(hosts("10.77.0.1/31"), pair("10.77.0.0", "10.77.0.1"));
        assert_eq!(hosts("10.77.0.1/32"), pair("10.77.0.1", "10.77.0.1"));
        assert_eq!(hosts("10.77.0.1/0"), pair("0.0.0.1", "255.255.255.254"));
    }

    #[test]
    fn knows_its_own() {
        let network = net("192.168.4.1/22");

        assert!(network.contains(Ipv4Addr::new(192, 168, 7, 255)));
        assert!(!network.contains(Ipv4Addr::new(192, 168, 8, 0)));
        assert_eq!(network.netmask(), Ipv4Addr::new(255, 255, 252, 0));
        assert_eq!(network.broadcast(), Ipv4Addr::new(192, 168, 7, 255));
    }

    #[test]
    fn refuses_what_is_no_network() {
        for text in ["10.0.0.1", "10.0.0.1/33", "10.0.0/8", "10.0.0.1/+8", "10.0.0.1/", "/8", "::1/64"] {
            assert!(text.parse::<Ipv4Net>().is_err(), "{text}");
        }
    }
}
