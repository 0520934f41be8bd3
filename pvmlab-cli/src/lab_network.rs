//! The lab's network: it is what the provisioner's addresses say, with the prefix lengths that belong to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use lab_model::{Definition, Ipv4Net, Ipv6Net};

/// The provisioner's address on each of the lab's networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LabNetwork {
    /// IPv4.
    pub(crate) ipv4: Ipv4Net,
    /// IPv6, where the lab has it.
    pub(crate) ipv6: Option<Ipv6Net>,
}

impl LabNetwork {
    /// Reads the addresses of a provisioner's definition: the prefix length stands in the address, or in the network
    /// beside it, as the first pvmlab wrote it.
    ///
    /// # Errors
    /// What is wrong, by key.
    pub(crate) fn of(provisioner: &Definition) -> Result<Self, String> {
        let Definition { ip, subnet, ipv6, subnetv6, .. } = provisioner;
        let ipv4 = with_prefix(ip, subnet).parse().map_err(|error| format!("ip: {error}"))?;
        let ipv6 = match with_prefix(ipv6, subnetv6) {
            text if text.is_empty() => None,
            text => Some(text.parse().map_err(|error| format!("ipv6: {error}"))?),
        };
        Ok(Self { ipv4, ipv6 })
    }

    /// The IPv4 network itself, as `10.77.0.0/24`.
    pub(crate) fn subnet(self) -> String {
        format!("{}/{}", self.ipv4.network(), self.ipv4.prefix())
    }

    /// The IPv6 network itself, as `fd00:77::/64`.
    pub(crate) fn subnet_v6(self) -> Option<String> {
        self.ipv6.map(|ipv6| format!("{}/{}", ipv6.network(), ipv6.prefix()))
    }

    /// The lowest address that is neither the provisioner's nor `taken`.
    ///
    /// The server hands out the upper half of the network to machines without an address, so that half comes last.
    pub(crate) fn free_address(self, taken: impl Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
        let (low, high) = bounds(self.ipv4.hosts());
        let pool = low + (high - low) / 2 + 1;
        let addresses = |from: u32, to: u32| (from..=to).map(Ipv4Addr::from_bits);
        let mut candidates = addresses(low, pool - 1).chain(addresses(pool, high));
        candidates.find(|address| *address != self.ipv4.address() && !taken(*address))
    }
}

/// An address as an argument has it: the length of its network's prefix may be left out, as the lab's is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostAddress<A> {
    /// The address.
    pub(crate) address: A,
    /// The prefix length, if it was given.
    pub(crate) prefix: Option<u8>,
}

/// The text is no address.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an address: expected a form such as `{1}` or `{1}/{2}`")]
pub(crate) struct NotHostAddress(String, &'static str, u8);

impl FromStr for HostAddress<Ipv4Addr> {
    type Err = NotHostAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text, 32).ok_or_else(|| NotHostAddress(text.to_owned(), "10.77.0.10", 24))
    }
}

impl FromStr for HostAddress<Ipv6Addr> {
    type Err = NotHostAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text, 128).ok_or_else(|| NotHostAddress(text.to_owned(), "fd00:77::10", 64))
    }
}

/// What keeps an address from being a provisioner's; `None` if nothing does.
pub(crate) fn unfit(network: LabNetwork) -> Option<String> {
    let LabNetwork { ipv4, ipv6 } = network;
    let reserved = |address: IpAddr| address.is_loopback() || address.is_multicast() || address.is_unspecified();
    let address = ipv4.address();
    if !(8..=29).contains(&ipv4.prefix()) {
        return Some(format!("a /{} network does not fit a lab: expected a prefix of 8 to 29", ipv4.prefix()));
    }
    if reserved(address.into()) || address.is_link_local() || address.is_broadcast() {
        return Some(format!("{address} is no address of a lab: expected a private one such as 10.77.0.1"));
    }
    if !ipv4.hosts().contains(&address) {
        let (first, last) = (ipv4.hosts().start().to_owned(), ipv4.hosts().end().to_owned());
        return Some(format!("{address} is the network's own address: expected one of {first} to {last}"));
    }
    if ipv4.contains(UPLINK.address()) || UPLINK.contains(address) {
        return Some(format!("{}/24 is the network of the provisioner's way out: choose another", UPLINK.network()));
    }
    let ipv6 = ipv6?;
    if !(16..=64).contains(&ipv6.prefix()) {
        return Some(format!("a /{} network does not fit a lab: expected a prefix of 16 to 64", ipv6.prefix()));
    }
    if reserved(ipv6.address().into()) || ipv6.address().is_unicast_link_local() {
        return Some(format!("{} is no address of a lab: expected one such as fd00:77::1", ipv6.address()));
    }
    (ipv6.address() == ipv6.network())
        .then(|| format!("{} is the network's own address: expected one such as {}1", ipv6.address(), ipv6.network()))
}

/// QEMU's user network, by which a provisioner reaches the world.
const UPLINK: Ipv4Net = match Ipv4Net::new(Ipv4Addr::new(10, 0, 2, 0), 24) {
    Some(network) => network,
    None => unreachable!(),
};

fn with_prefix(address: &str, network: &str) -> String {
    match network.split_once('/') {
        Some((_, prefix)) if !address.contains('/') && !address.is_empty() => format!("{address}/{prefix}"),
        _ => address.to_owned(),
    }
}

fn bounds(range: RangeInclusive<Ipv4Addr>) -> (u32, u32) {
    (range.start().to_bits(), range.end().to_bits())
}

fn parse<A: FromStr>(text: &str, longest: u8) -> Option<HostAddress<A>> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address = address.parse().ok()?;
    let Some(prefix) = prefix else { return Some(HostAddress { address, prefix: None }) };
    let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
    let prefix = prefix.parse().ok().filter(|prefix| digits && *prefix <= longest)?;
    Some(HostAddress { address, prefix: Some(prefix) })
}

#[cfg(test)]
mod tests {
    use lab_model::Format;

    use super::*;

    #[test]
    fn the_prefix_may_stand_in_either_key() {
        let of = |keys: &str| {
            let text = format!("name = 'p'\nrole = 'provisioner'\narch = 'aarch64'\nmac = '52:54:00:00:00:01'\n{keys}");
            LabNetwork::of(&Definition::parse(&text, Format::Toml).expect("a definition"))
        };
        let lab = network("10.77.0.1/24", Some("fd00:77::1/64"));

        assert_eq!(of("ip = '10.77.0.1/24'\nipv6 = 'fd00:77::1/64'"), Ok(lab));
        assert_eq!(
            of("ip = '10.77.0.1'\nsubnet = '10.77.0.0/24'\nipv6 = 'fd00:77::1'\nsubnetv6 = 'fd00:77::/64'"),
            Ok(lab)
        );
        assert_eq!((lab.subnet(), lab.subnet_v6()), ("10.77.0.0/24".to_owned(), Some("fd00:77::/64".to_owned())));
        assert!(of("ip = '10.77.0.1'").is_err_and(|problem| problem.starts_with("ip: `10.77.0.1` is not")));
    }

    #[test]
    fn the_servers_pool_comes_last() {
        let free = |lab: &str, taken: &[u8]| {
            let address = network(lab, None).free_address(|address| taken.contains(&address.octets()[3]));
            address.map(|address| address.to_string())
        };

        assert_eq!(free("10.77.0.1/24", &[]), Some("10.77.0.2".to_owned()));
        assert_eq!(free("10.77.0.1/24", &[2, 3]), Some("10.77.0.4".to_owned()));
        assert_eq!(free("10.77.0.1/29", &[2, 3]), Some("10.77.0.4".to_owned()));
        assert_eq!(free("10.77.0.6/29", &[1, 2, 3, 4, 5]), None);
    }

    #[test]
    fn an_address_that_cannot_serve_a_lab_is_refused() {
        for address in ["10.77.0.0/24", "10.77.0.255/24", "127.0.0.1/8", "10.77.0.1/30", "10.0.2.1/24", "10.1.0.1/8"] {
            assert!(unfit(network(address, None)).is_some(), "{address}");
        }
        for address in ["fd00:77::/64", "fe80::1/64", "fd00::1/120"] {
            assert!(unfit(network("10.77.0.1/24", Some(address))).is_some(), "{address}");
        }
        assert_eq!(unfit(network("192.168.100.1/24", Some("fd00:77::1/64"))), None);
    }

    fn network(ipv4: &str, ipv6: Option<&str>) -> LabNetwork {
        LabNetwork { ipv4: ipv4.parse().expect("a network"), ipv6: ipv6.map(|ipv6| ipv6.parse().expect("a network")) }
    }
}
