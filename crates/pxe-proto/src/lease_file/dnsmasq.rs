//! dnsmasq's lease file: when the lease ends, the hardware address, the address, the name and the client identifier. Behind a line
//! with the server's `duid` it is IPv6: when, the IAID, the address, the name and the client's DUID. It is written anew as a whole.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::{
    Entry, FOR_EVER, Fault, Lease, LeaseRecord, NOT_ETHERNET, PREFIX, TEMPORARY, UnixSeconds, address, bound,
    colon_hex, hostname, lines, mac, no, number, seconds,
};
use crate::dhcp6;

pub(super) fn read(text: &[u8], now: UnixSeconds) -> Vec<Entry> {
    let mut is_ipv6 = false;
    let mut entries = Vec::new();
    for (line, text) in lines(text) {
        let lease = match text.map(|text| text.split_ascii_whitespace().take(WORDS + 1).collect::<Vec<_>>()).as_deref()
        {
            Ok(["duid", ..]) => {
                is_ipv6 = true;
                continue;
            }
            // What a relay or a router of a provider has delegated, which dnsmasq only looks on at.
            Ok([snooped, ..]) if snooped.starts_with('>') => Err(PREFIX),
            Ok([end, who, address, name, client]) if is_ipv6 => lease6([end, who, address, name, client], now),
            Ok([end, who, address, name, _]) => lease4([end, who, address, name], now),
            Ok(_) => Err(Fault::Unreadable(format!("not {WORDS} words"))),
            Err(fault) => Err(fault.clone()),
        };
        entries.push(Entry { line, lease });
    }
    entries
}

const WORDS: usize = 5;

fn lease4([end, who, ip, name]: [&str; 4], now: UnixSeconds) -> Result<Lease, Fault> {
    let ip: Ipv4Addr = address(ip)?;
    let times = times(end, now)?;
    // Hardware that is not Ethernet's has its type in front (RFC 2132 §9.14), and a client may have none.
    if who == "*" || who.as_bytes().get(2) == Some(&b'-') {
        return Err(NOT_ETHERNET);
    }
    Ok(bound(mac(who)?, ip, times, hostname(name)).into())
}

fn lease6([end, who, ip, name, client]: [&str; 5], now: UnixSeconds) -> Result<Lease, Fault> {
    if who.starts_with('T') {
        return Err(TEMPORARY);
    }
    let times = times(end, now)?;
    let duid = colon_hex(client).ok_or_else(|| no("DUID", client))?;
    Ok(bound(dhcp6::known_by(&duid, None), address::<std::net::Ipv6Addr>(ip)?, times, hostname(name)).into())
}

/// The file does not say since when.
fn times(end: &str, UnixSeconds(now): UnixSeconds) -> Result<(u64, u64), Fault> {
    match number(end)? {
        0 => Ok((now, now.saturating_add(FOR_EVER.as_secs()))),
        end => Ok((now.min(end), end)),
    }
}

pub(super) fn write(leases: &[LeaseRecord<Ipv4Addr>]) -> String {
    let mut text = String::new();
    for lease in leases {
        let LeaseRecord { mac, address, hostname, expires, .. } = lease;
        let end = seconds(lease).map_or(0, |_| expires.0);
        let name = hostname.as_ref().map_or("*", lab_model::MachineName::as_str);
        writeln!(text, "{end} {mac} {address} {name} *").expect("a String takes it");
    }
    text
}
