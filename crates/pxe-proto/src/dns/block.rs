//! A block of addresses, and how its name is written for the way back from addresses to names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use domain::base::name::{Label, ToName as _};

use super::Name;

/// The addresses that begin alike. IPv4 counts as `::ffff:0:0/96` (RFC 4291 §2.5.5.2), so that there is one kind of block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    first: u128,
    /// How many bits are alike, of 128.
    prefix: u8,
}

/// Where IPv4 begins.
const V4: Block = Block { first: 0xffff_0000_0000, prefix: 96 };

impl Block {
    pub(super) const fn v4(address: Ipv4Addr, prefix: u8) -> Self {
        Self::new(V4.first | address.to_bits() as u128, V4.prefix + prefix)
    }

    pub(super) const fn v6(address: Ipv6Addr, prefix: u8) -> Self {
        Self::new(address.to_bits(), prefix)
    }

    pub(super) const fn one(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::v4(address, 32),
            IpAddr::V6(address) => Self::v6(address, 128),
        }
    }

    const fn new(address: u128, prefix: u8) -> Self {
        let mask = if prefix == 0 { 0 } else { u128::MAX << (128 - prefix as u32) };
        Self { first: address & mask, prefix }
    }

    /// Whether all of another block is in it.
    pub(super) const fn holds(&self, other: &Self) -> bool {
        other.prefix >= self.prefix && Self::new(other.first, self.prefix).first == self.first
    }

    /// Its addresses, as [`Block::one`] numbers them.
    pub(super) const fn addresses(&self) -> RangeInclusive<u128> {
        let rest = if self.prefix == 0 { u128::MAX } else { !(u128::MAX << (128 - self.prefix as u32)) };
        RangeInclusive::new(self.first, self.first | rest)
    }

    /// The number of the one address of a block of one.
    pub(super) const fn only(&self) -> Option<u128> {
        if self.prefix == 128 { Some(self.first) } else { None }
    }

    /// The block that a name in `in-addr.arpa` or `ip6.arpa` is of (RFC 1035 §3.5, RFC 3596 §2.5), and whether it is that
    /// block's own name or one below. Nothing for any other name, and for the two roots.
    pub(super) fn of(name: &Name) -> Option<(Self, bool)> {
        let labels: Vec<_> = name.iter().map(Label::as_slice).collect();
        let (root, rest) = labels.split_last()?;
        let (arpa, rest) = rest.split_last()?;
        let (family, rest) = rest.split_last()?;
        if !root.is_empty() || !arpa.eq_ignore_ascii_case(b"arpa") {
            return None;
        }
        let (step, most, start) = if family.eq_ignore_ascii_case(b"in-addr") {
            (8, 4, V4)
        } else if family.eq_ignore_ascii_case(b"ip6") {
            (4, 32, Self::new(0, 0))
        } else {
            return None;
        };
        let read: Vec<_> = rest.iter().rev().take(most).map_while(|label| digit(label, step)).collect();
        let bits = read.iter().fold(0, |bits: u128, digit| bits << step | u128::from(*digit));
        let prefix = start.prefix + read.len() as u8 * step;
        let first = if prefix == 0 { 0 } else { start.first | bits << (128 - u32::from(prefix)) };
        (!read.is_empty()).then_some((Self { first, prefix }, read.len() == rest.len()))
    }

    /// The name of the zone within it that has all of another block: zones end at a full stop, blocks anywhere.
    pub(super) fn zone_of(&self, inner: &Self) -> Name {
        let (address, most, step, start) = if V4.holds(self) {
            // Never that of a single address.
            (IpAddr::V4(Ipv4Addr::from_bits(inner.first as u32)), 3, 8, V4.prefix)
        } else {
            (IpAddr::V6(Ipv6Addr::from_bits(inner.first)), 32, 4, 0)
        };
        let kept = (self.prefix - start).div_ceil(step).min(most);
        let mut whole = Name::reverse_from_addr(address).expect("an address has a short name");
        whole.make_canonical();
        let all = (128 - start) / step;
        let zone = whole.iter_suffixes().nth((all - kept).into()).expect("a name has as many labels");
        zone.to_vec()
    }
}

/// One label as a number: `0` to `255`, or one hexadecimal digit.
fn digit(label: &[u8], bits: u8) -> Option<u8> {
    let text = str::from_utf8(label).ok()?;
    let plain = text == "0" || !text.starts_with('0');
    match bits {
        8 if plain && text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        4 if text.len() == 1 => u8::from_str_radix(text, 16).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_the_block_that_it_says() {
        assert_eq!(of("3.0.77.10.in-addr.arpa"), Some((v4("10.77.0.3", 32), true)));
        assert_eq!(of("77.10.IN-ADDR.arpa"), Some((v4("10.77.0.0", 16), true)));
        assert_eq!(of("_x.3.0.77.10.in-addr.arpa"), Some((v4("10.77.0.3", 32), false)));
        assert_eq!(of("0/25.0.77.10.in-addr.arpa"), Some((v4("10.77.0.0", 24), false)));
        assert_eq!(of("d.f.ip6.arpa"), Some((v6("fd00::", 8), true)));
        assert_eq!(of(&format!("1.{}7.7.d.f.ip6.arpa", "0.".repeat(27))), Some((v6("fd77::1", 128), true)));
        for other in ["in-addr.arpa", "ip6.arpa", "arpa", ".", "10.example", "007.in-addr.arpa", "256.in-addr.arpa"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn a_zone_has_whole_numbers() {
        let zone = |outer: Block, inner: Block| outer.zone_of(&inner).to_string();

        assert_eq!(zone(v4("10.77.0.1", 24), v4("10.77.0.9", 32)), "0.77.10.in-addr.arpa");
        assert_eq!(zone(v4("10.77.0.1", 20), v4("10.77.7.9", 32)), "7.77.10.in-addr.arpa");
        assert_eq!(zone(v4("10.77.0.1", 30), v4("10.77.0.2", 32)), "0.77.10.in-addr.arpa");
        assert_eq!(zone(v4("172.16.0.0", 12), v4("172.20.0.0", 16)), "20.172.in-addr.arpa");
        assert_eq!(zone(v6("fd77::1", 64), v6("fd77::9", 128)), "0.0.0.0.0.0.0.0.0.0.0.0.7.7.d.f.ip6.arpa");
        assert_eq!(zone(v6("fe80::", 10), v6("fe90::", 12)), "9.e.f.ip6.arpa");
    }

    #[test]
    fn a_block_holds_what_begins_alike() {
        let net = v4("10.77.0.1", 24);

        assert!(net.holds(&v4("10.77.0.255", 32)) && net.holds(&net));
        assert!(!net.holds(&v4("10.77.1.0", 32)) && !net.holds(&v4("10.77.0.0", 16)));
        assert!(!v6("::", 0).addresses().is_empty() && v6("::", 0).holds(&net));
    }

    fn of(name: &str) -> Option<(Block, bool)> {
        Block::of(&Name::vec_from_str(name).expect("a name"))
    }

    fn v4(address: &str, prefix: u8) -> Block {
        Block::v4(address.parse().expect("an address"), prefix)
    }

    fn v6(address: &str, prefix: u8) -> Block {
        Block::v6(address.parse().expect("an address"), prefix)
    }
}
