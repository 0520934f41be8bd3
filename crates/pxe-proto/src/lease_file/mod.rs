//! Leases as DHCP servers keep them in files: our own, Kea's, dnsmasq's, ISC dhcpd's.
//!
//! [`read`] makes [`Entry`]s of a file, one for each thing that it says, in its order: a later one of the same address replaces an
//! earlier one, as it does for the program that wrote it. A line that makes no sense costs no other. What is kept of a file is
//! bounded by its length.
//!
//! [`write()`] makes a file that such a program starts from.
//!
//! Deliberately not here: which of the leases a network has room for, which the engines decide (`take_over`); clients without an Ethernet
//! address; delegated prefixes and temporary addresses (RFC 8415 §6.3, §6.5), which this server does not give.

mod dnsmasq;
mod isc;
mod json;
mod kea;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use lab_model::{MacAddr, MachineName};

use crate::dhcp::{Address, LeaseRecord, LeaseState, UnixSeconds};

/// Who writes leases like that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// This server: a JSON object a line.
    Json,
    /// Kea's memfile, of either family: comma-separated, columns by name.
    Kea,
    /// dnsmasq: five words a line, IPv6 behind the server's `duid`.
    Dnsmasq,
    /// ISC dhcpd, of either family: `dhcpd.leases(5)`.
    Isc,
}

/// A lease of either family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// An IPv4 address's.
    V4(LeaseRecord<Ipv4Addr>),
    /// An IPv6 address's.
    V6(LeaseRecord<Ipv6Addr>),
}

/// One thing that a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it begins, from 1 on.
    pub line: usize,
    /// What it says.
    pub lease: Result<Lease, Fault>,
}

/// Why there is no lease in an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not as the format has it, or damaged.
    #[error("{0}")]
    Unreadable(String),
    /// It is sound, and about something that this server has no lease for.
    #[error("{0}")]
    Foreign(&'static str),
}

/// No lease ends later after it was granted: "for ever" (RFC 2131 §3.3) is that long, 136 years.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

const NOT_ETHERNET: Fault = Fault::Foreign("its client shows no Ethernet address");
const DECLINED: Fault = Fault::Foreign("the address was declined: it is nobody's");
const TEMPORARY: Fault = Fault::Foreign("a temporary address");
const PREFIX: Fault = Fault::Foreign("a delegated prefix");

impl Format {
    /// Who wrote this, by its first line that is not empty; `None` if nobody did that is known here.
    pub fn of(text: &[u8]) -> Option<Self> {
        let first = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty())?;
        let word = first.split(|byte| byte.is_ascii_whitespace()).next()?;
        match first {
            [b'{', ..] => Some(Self::Json),
            _ if first.starts_with(b"address,") => Some(Self::Kea),
            _ if word == b"duid" || word.iter().all(u8::is_ascii_digit) => Some(Self::Dnsmasq),
            [b'#', ..] => Some(Self::Isc),
            _ if isc::BEGINNINGS.iter().any(|beginning| word == beginning.as_bytes()) => Some(Self::Isc),
            _ => None,
        }
    }

    /// Its name, for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON lines",
            Self::Kea => "Kea",
            Self::Dnsmasq => "dnsmasq",
            Self::Isc => "ISC dhcpd",
        }
    }
}

/// What a file says. `now` is when it was written, as far as is known: what it does not say itself counts from there.
pub fn read(text: &[u8], format: Format, now: UnixSeconds) -> Vec<Entry> {
    match format {
        Format::Json => json::read(text),
        Format::Kea => kea::read(text),
        Format::Dnsmasq => dnsmasq::read(text, now),
        Format::Isc => isc::read(text, now),
    }
}

/// The file for these IPv4 leases.
pub fn write(leases: &[LeaseRecord<Ipv4Addr>], format: Format) -> String {
    match format {
        Format::Json => json::write(leases),
        Format::Kea => kea::write(leases),
        Format::Dnsmasq => dnsmasq::write(leases),
        Format::Isc => isc::write(leases),
    }
}

/// The file for these IPv6 leases; `None` for a format that says more of a client than is known here.
///
/// Kea's says more too: a DUID, which stands here for the client's Ethernet address (DUID-LL, RFC 8415 §11.4). A client with
/// another one gets another address from it.
pub fn write6(leases: &[LeaseRecord<Ipv6Addr>], format: Format) -> Option<String> {
    match format {
        Format::Json => Some(json::write(leases)),
        Format::Kea => Some(kea::write6(leases)),
        Format::Dnsmasq | Format::Isc => None,
    }
}

/// Where the entries are that count, by their place: the last one of each address, the newest lease first. The rest is out of date.
pub fn latest(entries: &[Entry]) -> Vec<usize> {
    let lease = |at: &usize| entries[*at].lease.as_ref().ok();
    let last: std::collections::BTreeMap<IpAddr, usize> =
        entries.iter().enumerate().filter_map(|(at, entry)| Some((entry.lease.as_ref().ok()?.address(), at))).collect();
    let mut latest: Vec<_> = last.into_values().collect();
    latest.sort_by_key(|at| (lease(at).map(Lease::times), *at));
    latest.reverse();
    latest
}

impl Lease {
    /// Whose it is.
    pub fn mac(&self) -> MacAddr {
        match self {
            Self::V4(lease) => lease.mac,
            Self::V6(lease) => lease.mac,
        }
    }

    /// What it is about.
    pub fn address(&self) -> IpAddr {
        match self {
            Self::V4(lease) => lease.address.into(),
            Self::V6(lease) => lease.address.into(),
        }
    }

    fn times(&self) -> (UnixSeconds, UnixSeconds) {
        match self {
            Self::V4(lease) => (lease.granted, lease.expires),
            Self::V6(lease) => (lease.granted, lease.expires),
        }
    }
}

/// Lines with their numbers, without the empty ones; one that is not UTF-8 is a fault.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, Result<&str, Fault>)> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).enumerate();
    lines.filter(|(_, line)| !line.is_empty()).map(|(at, line)| {
        (at + 1, str::from_utf8(line).map_err(|_| Fault::Unreadable("neither ASCII nor UTF-8".to_owned())))
    })
}

/// A value that is not what it should be.
fn no(what: &str, value: &str) -> Fault {
    /// Enough to find it by.
    const SHOWN: usize = 60;
    let shown: String = value.chars().take(SHOWN).collect();
    Fault::Unreadable(format!("`{}` is no {what}", shown.escape_debug()))
}

fn address<A: std::str::FromStr>(text: &str) -> Result<A, Fault> {
    text.parse().map_err(|_| no("address", text))
}

fn number(text: &str) -> Result<u64, Fault> {
    text.parse().map_err(|_| no("number", text))
}

fn mac(text: &str) -> Result<MacAddr, Fault> {
    text.parse().map_err(|_| no("Ethernet address", text))
}

/// What a client calls itself: the first label, as far as that can be a machine's name.
fn hostname(text: &str) -> Option<MachineName> {
    text.split('.').next()?.to_ascii_lowercase().parse().ok()
}

/// Bytes written as pairs of hexadecimal digits with colons between them.
fn colon_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |pair: &str| (pair.len() <= 2).then(|| u8::from_str_radix(pair, 16).ok())?;
    text.split(':').map(byte).collect()
}

fn bound<A: Address>(
    mac: MacAddr,
    address: A,
    (granted, expires): (u64, u64),
    hostname: Option<MachineName>,
) -> LeaseRecord<A> {
    let granted = UnixSeconds(granted);
    let expires = UnixSeconds(expires).min(granted.after(FOR_EVER));
    LeaseRecord { mac, address, state: LeaseState::Bound, granted, expires, hostname }
}

/// An entry that only says that nobody has the address: earlier ones of it are void.
fn ended<A: Address>(address: A, at: u64) -> LeaseRecord<A> {
    let at = UnixSeconds(at);
    LeaseRecord {
        mac: MacAddr::new([0; 6]),
        address,
        state: LeaseState::Released,
        granted: at,
        expires: at,
        hostname: None,
    }
}

/// How long the lease is from its beginning to its end, in seconds; `None` for ever.
fn seconds<A: Address>(lease: &LeaseRecord<A>) -> Option<u64> {
    let seconds = lease.expires.0.saturating_sub(lease.granted.0);
    (seconds < FOR_EVER.as_secs()).then_some(seconds)
}

impl From<LeaseRecord<Ipv4Addr>> for Lease {
    fn from(lease: LeaseRecord<Ipv4Addr>) -> Self {
        Self::V4(lease)
    }
}

impl From<LeaseRecord<Ipv6Addr>> for Lease {
    fn from(lease: LeaseRecord<Ipv6Addr>) -> Self {
        Self::V6(lease)
    }
}

#[cfg(test)]
mod tests;
