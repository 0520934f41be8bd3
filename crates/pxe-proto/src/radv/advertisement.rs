//! What a router says of itself and of its link, byte by byte.

use std::net::Ipv6Addr;
use std::time::Duration;

use lab_model::Ipv6Net;

use super::router::LONGEST_INTERVAL;
use crate::domain_name;

/// What is advertised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The prefix of the link.
    pub prefix: Ipv6Net,
    /// Whether machines make themselves an address of the prefix (RFC 4862 §5.5.3); only one of 64 bits lets them.
    pub autonomous: bool,
    /// Whether DHCPv6 has addresses and everything else for them: both flags of RFC 4861 §4.2.
    pub managed: bool,
    /// For how long after each advertisement machines get out by this router; zero: it leads nowhere. In whole seconds up to
    /// [`Config::LONGEST_LIFETIME`].
    pub router_lifetime: Duration,
    /// The name servers, most wanted first.
    pub dns: Vec<Ipv6Addr>,
    /// The domain that names are looked for in.
    pub domain: Option<String>,
    /// What the link carries in one packet, in bytes; `None`: what is usual on such a link.
    pub mtu: Option<u32>,
}

impl Config {
    /// RFC 4861 §6.2.1, AdvDefaultLifetime.
    pub const LONGEST_LIFETIME: Duration = Duration::from_secs(9000);

    /// The ICMPv6 message; its checksum is the kernel's business (RFC 3542 §3.1).
    pub(super) fn advertisement(&self) -> Vec<u8> {
        let lifetime = self.router_lifetime.min(Self::LONGEST_LIFETIME).as_secs() as u16;
        let mut message = vec![ADVERTISEMENT, 0, 0, 0, HOP_LIMIT];
        message.push(if self.managed { MANAGED | OTHER } else { 0 });
        message.extend(lifetime.to_be_bytes());
        // How long a neighbour counts as reachable and how often it is asked: not ours to say.
        message.extend([0; 8]);
        self.prefix_information(&mut message);
        if let Some(mtu) = self.mtu {
            message.extend([MTU, 1, 0, 0]);
            message.extend(mtu.to_be_bytes());
        }
        self.name_servers(&mut message);
        self.search_list(&mut message);
        message
    }

    fn prefix_information(&self, message: &mut Vec<u8>) {
        let flags = ON_LINK | if self.makes_addresses() { AUTONOMOUS } else { 0 };
        prefix_information(message, self.prefix, flags, [VALID_SECONDS, PREFERRED_SECONDS]);
    }

    pub(super) fn makes_addresses(&self) -> bool {
        self.autonomous && self.prefix.prefix() == INTERFACE_PREFIX
    }

    fn name_servers(&self, message: &mut Vec<u8>) {
        name_servers(message, &self.dns, NAMES_SECONDS);
    }

    fn search_list(&self, message: &mut Vec<u8>) {
        search_list(message, self.domain.as_deref(), NAMES_SECONDS);
    }
}

/// RFC 4861 §4.6.2.
pub(super) fn prefix_information(message: &mut Vec<u8>, prefix: Ipv6Net, flags: u8, lifetimes: [u32; 2]) {
    message.extend([PREFIX_INFORMATION, 4, prefix.prefix(), flags]);
    message.extend(lifetimes.iter().flat_map(|seconds| seconds.to_be_bytes()));
    message.extend([0; 4]);
    message.extend(prefix.network().octets());
}

/// RFC 8106 §5.1.
pub(super) fn name_servers(message: &mut Vec<u8>, servers: &[Ipv6Addr], seconds: u32) {
    let servers = &servers[..servers.len().min(MOST_NAME_SERVERS)];
    if servers.is_empty() {
        return;
    }
    message.extend([RDNSS, 1 + 2 * servers.len() as u8, 0, 0]);
    message.extend(seconds.to_be_bytes());
    message.extend(servers.iter().flat_map(Ipv6Addr::octets));
}

/// RFC 8106 §5.2.
pub(super) fn search_list(message: &mut Vec<u8>, domain: Option<&str>, seconds: u32) {
    let Some(mut names) = domain.and_then(domain_name::encode) else { return };
    names.resize(names.len().next_multiple_of(8), 0);
    message.extend([DNSSL, 1 + (names.len() / 8) as u8, 0, 0]);
    message.extend(seconds.to_be_bytes());
    message.extend(names);
}

/// RFC 4861 §4.2.
const ADVERTISEMENT: u8 = 134;

/// What packets of machines begin with: the usual value (RFC 1700).
const HOP_LIMIT: u8 = 64;

/// RFC 4861 §4.2: addresses by DHCPv6.
const MANAGED: u8 = 0x80;

/// RFC 4861 §4.2: everything else by DHCPv6.
const OTHER: u8 = 0x40;

/// RFC 4861 §4.6.2.
const PREFIX_INFORMATION: u8 = 3;

/// RFC 4861 §4.6.2: addresses of the prefix are reached without a router.
const ON_LINK: u8 = 0x80;

/// RFC 4861 §4.6.2.
pub(super) const AUTONOMOUS: u8 = 0x40;

/// RFC 4862 §5.5.3 d, with the interface identifiers of RFC 2464 §4.
const INTERFACE_PREFIX: u8 = 64;

/// RFC 4861 §4.6.4.
const MTU: u8 = 5;

/// RFC 8106 §5.1.
const RDNSS: u8 = 25;

/// RFC 8106 §5.2.
const DNSSL: u8 = 31;

/// More than anybody asks, and few enough for one packet.
const MOST_NAME_SERVERS: usize = 8;

/// How long an address of the prefix can be used: a day. A machine that is moved to another network must not keep it for a month,
/// as it would by RFC 4861 §6.2.1.
const VALID_SECONDS: u32 = 86_400;

/// How long it is used for new connections.
const PREFERRED_SECONDS: u32 = 14_400;

/// RFC 8106 §5.1: three times the longest interval.
const NAMES_SECONDS: u32 = 3 * LONGEST_INTERVAL.as_secs() as u32;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn it_says_everything_that_a_machine_must_know() {
        let expected = [
            &[134, 0, 0, 0, 64, 0xc0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &[3, 4, 64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0],
            &[0xfd, 0, 0, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[5, 1, 0, 0, 0, 0, 0x05, 0xdc],
            &[25, 3, 0, 0, 0, 0, 0x07, 0x08, 0xfd, 0, 0, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            &[31, 3, 0, 0, 0, 0, 0x07, 0x08],
            b"\x06pvmlab\x05local\0\0\0",
        ];

        assert_eq!(config().advertisement(), expected.concat());
    }

    #[test]
    fn it_is_silent_about_what_there_is_not() {
        let config = Config {
            autonomous: false,
            managed: false,
            router_lifetime: Duration::ZERO,
            dns: Vec::new(),
            domain: Some("not..a.name".to_owned()),
            mtu: None,
            ..config()
        };

        let message = config.advertisement();

        assert_eq!((message.len(), message[5], &message[6..8], message[19]), (48, 0, &[0, 0][..], ON_LINK));
    }

    #[test]
    fn machines_make_themselves_addresses_of_a_prefix_of_64_bits_alone() {
        let config = Config { prefix: "fd00:77::1/80".parse().expect("a network"), ..config() };

        assert_eq!(config.advertisement()[18..20], [80, ON_LINK]);
    }

    #[test]
    fn too_much_is_cut_off() {
        let dns = vec![Ipv6Addr::LOCALHOST; 1000];
        let config = Config { router_lifetime: Duration::MAX, dns, ..config() };

        let message = config.advertisement();

        assert_eq!(message[6..8], 9000_u16.to_be_bytes());
        assert!(message.len() < 1000, "{}", message.len());
    }

    pub(in crate::radv) fn config() -> Config {
        Config {
            prefix: "fd00:77::1/64".parse().expect("a network"),
            autonomous: true,
            managed: true,
            router_lifetime: Duration::from_secs(1800),
            dns: vec!["fd00:77::1".parse().expect("an address")],
            domain: Some("pvmlab.local".to_owned()),
            mtu: Some(1500),
        }
    }
}
