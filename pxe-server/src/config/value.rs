//! The values that a configuration is made of, each with an error that says what was expected.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// Addresses from first to last, written `10.77.0.100-10.77.0.200`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressRange<A = Ipv4Addr> {
    pub(crate) first: A,
    pub(crate) last: A,
}

/// Several of them, in order, written as a list or as the only one. None at all is written `[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AddressRanges(Vec<AddressRange>);

/// The router that machines are told, written as an address or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Router {
    /// This one.
    At(Ipv4Addr),
    /// They stay within the lab network.
    None,
}

/// A name server, written as an address, perhaps with a port: `10.0.2.3`, `10.0.2.3:5353`, `[fd00::3]:5353`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NameServer(pub(crate) SocketAddr);

/// The name of a network interface that may come later, so that only its form can be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InterfaceName(String);

/// A TCP port; 0 leaves the choice to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port(pub(crate) u16);

/// A time of at least one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) u32);

/// How long an answer is waited for, at most one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Milliseconds(pub(crate) u16);

/// How long machines get out by a router, in seconds (RFC 4861 §6.2.1); 0: not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RouterLifetime(pub(crate) u16);

/// How many bytes a network carries in one packet, at least IPv6's own minimum (RFC 8200 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mtu(pub(crate) u16);

/// How many, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u16);

/// A level of the log with exceptions from it, written `info,pxe_server::dhcp=debug`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Levels(pub(crate) Targets);

impl AddressRange {
    /// How many addresses it has.
    pub(crate) fn len(self) -> u64 {
        u64::from(self.last.to_bits()) - u64::from(self.first.to_bits()) + 1
    }
}

impl<A: fmt::Display> fmt::Display for AddressRange<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl<A: FromStr + Ord> AddressRange<A> {
    fn parse(text: &str, example: &str) -> Result<Self, String> {
        let range = text.split_once('-').and_then(|(first, last)| {
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last).then_some(Self { first, last })
        });
        let expected = format!("expected first and last address such as `{example}`");
        range.ok_or_else(|| format!("`{text}` is not a range of addresses: {expected}"))
    }
}

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text, "10.77.0.100-10.77.0.200")
    }
}

impl FromStr for AddressRange<Ipv6Addr> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text, "fd00:77::1000-fd00:77::1fff")
    }
}

impl<'de, A> Deserialize<'de> for AddressRange<A>
where
    Self: FromStr<Err = String>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl AddressRanges {
    /// How many addresses they have.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|range| range.len()).sum()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first and last address of each.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (Ipv4Addr, Ipv4Addr)> {
        self.0.iter().map(|range| (range.first, range.last))
    }

    /// The same, one after the other.
    pub(crate) fn ends(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.pairs().flat_map(|(first, last)| [first, last])
    }

    /// All of them.
    pub(crate) fn ranges(&self) -> Vec<RangeInclusive<Ipv4Addr>> {
        self.0.iter().map(|range| range.first..=range.last).collect()
    }
}

impl From<AddressRange> for AddressRanges {
    fn from(range: AddressRange) -> Self {
        Self(vec![range])
    }
}

impl fmt::Display for AddressRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
    }
}

impl<'de> Deserialize<'de> for AddressRanges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RangesVisitor)
    }
}

struct RangesVisitor;

impl<'de> Visitor<'de> for RangesVisitor {
    type Value = AddressRanges;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a range of addresses such as `10.77.0.100-10.77.0.200`, or a list of them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<AddressRanges, E> {
        text.parse().map(AddressRange::into).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<AddressRanges, A::Error> {
        let mut ranges: Vec<AddressRange> = Vec::new();
        while let Some(range) = list.next_element::<AddressRange>()? {
            ranges.push(range);
        }
        ranges.sort_by_key(|range| range.first);
        match ranges.windows(2).find(|pair| pair[1].first <= pair[0].last) {
            Some(pair) => Err(A::Error::custom(format!("{} and {} have addresses in common", pair[0], pair[1]))),
            None => Ok(AddressRanges(ranges)),
        }
    }
}

impl<'de> Deserialize<'de> for Router {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "none" => Ok(Self::None),
            address => address
                .parse()
                .map(Self::At)
                .map_err(|_| D::Error::custom(format!("`{text}` is not a router: expected an IPv4 address or `none`"))),
        }
    }
}

impl<'de> Deserialize<'de> for NameServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let address = text.parse().or_else(|_| text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53)));
        address.map(Self).map_err(|_| {
            let expected = "expected an address such as `10.0.2.3`, perhaps with a port: `10.0.2.3:5353`";
            D::Error::custom(format!("`{text}` is not a name server: {expected}"))
        })
    }
}

impl InterfaceName {
    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The kernel's limit, IFNAMSIZ, without the final NUL (netdevice(7)).
    const MAX_BYTES: usize = 15;
}

impl FromStr for InterfaceName {
    type Err = String;

    /// Fewer names than the kernel allows: to nft(8), a `*` at the end is any interface that starts so.
    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@+~#%,=".contains(&byte);
        let fits =
            (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(plain) && !matches!(text, "." | "..");
        fits.then(|| Self(text.to_owned())).ok_or_else(|| {
            format!("`{text}` is not the name of an interface: expected up to 15 letters and digits such as `enp0s1`")
        })
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for InterfaceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Whole { range: 0..=65_535, what: "a TCP port from 0 to 65535" }.read(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Whole { range: 1..=i64::MAX, what: "a number of seconds above zero" }.read(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Milliseconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Whole { range: 0..=1000, what: "a number of milliseconds from 0 to 1000" }.read(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for RouterLifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Whole { range: 0..=9000, what: "a number of seconds from 0 to 9000" }.read(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Mtu {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Whole { range: 1280..=65_535, what: "a number of bytes from 1280 to 65535" }.read(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Whole { range: 1..=65_535, what: "a number from 1 to 65535" }.read(deserializer).map(Self)
    }
}

impl Default for Levels {
    fn default() -> Self {
        Self(Targets::new().with_default(LevelFilter::INFO))
    }
}

impl<'de> Deserialize<'de> for Levels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The parser takes any word for a part of the program, of which all is to be logged.
        let known = text.split(',').all(|part| part.contains('=') || part.parse::<LevelFilter>().is_ok());
        text.parse().ok().filter(|_| known).map(Self).ok_or_else(|| {
            let expected =
                "expected `error`, `warn`, `info` or `debug`, with exceptions such as `info,pxe_server::dhcp=debug`";
            D::Error::custom(format!("`{text}` is no level: {expected}"))
        })
    }
}

/// A whole number in a range, which fits its type.
struct Whole {
    range: RangeInclusive<i64>,
    what: &'static str,
}

impl Whole {
    fn read<'de, D: Deserializer<'de>, T: TryFrom<i64>>(self, deserializer: D) -> Result<T, D::Error> {
        let (range, what) = (self.range.clone(), self.what);
        let number = deserializer.deserialize_i64(self)?;
        let fits = T::try_from(number).ok().filter(|_| range.contains(&number));
        fits.ok_or_else(|| D::Error::invalid_value(Unexpected::Signed(number), &what))
    }
}

impl Visitor<'_> for Whole {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }
}
