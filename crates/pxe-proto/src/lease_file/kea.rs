//! Kea's memfile (Kea Administrator Reference Manual, "Why Is Lease File Cleanup Necessary?"): comma-separated values. Its first line
//! names the columns, of which later versions have more; what is appended replaces earlier lines of the same address.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{
    Address, DECLINED, Entry, FOR_EVER, Fault, Lease, LeaseRecord, NOT_ETHERNET, PREFIX, TEMPORARY, address, bound,
    colon_hex, ended, hostname, lines, mac, no, number, seconds,
};
use crate::dhcp6;

/// What Kea 2.0 to 2.2 write; later ones take it and add columns of their own.
const COLUMNS: &str =
    "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context";
const COLUMNS6: &str = "address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,\
                        fqdn_rev,hostname,hwaddr,state,user_context,hwtype,hwaddr_source";

/// The identifier of the subnet, which is the first in most configurations. Kea finds a lease by its address whatever it says.
const SUBNET: u8 = 1;

/// `Lease::STATE_DEFAULT`, `STATE_DECLINED`, `STATE_EXPIRED_RECLAIMED`, and `STATE_RELEASED` of later versions.
const LEASED: u64 = 0;
const ON_PROBATION: u64 = 1;
const RECLAIMED: u64 = 2;
const RELEASED: u64 = 3;

pub(super) fn read(text: &[u8]) -> Vec<Entry> {
    let mut lines = lines(text);
    let Some((line, header)) = lines.next() else { return Vec::new() };
    let header = header.and_then(|header| Header::new(header).map_err(Fault::Unreadable));
    match header {
        Ok(header) => {
            lines.map(|(line, text)| Entry { line, lease: text.and_then(|text| header.lease(text)) }).collect()
        }
        Err(fault) => vec![Entry { line, lease: Err(fault) }],
    }
}

/// Which column is which.
struct Header<'a> {
    columns: BTreeMap<&'a str, usize>,
    is_ipv6: bool,
}

/// The values of one line.
struct Row<'a> {
    header: &'a Header<'a>,
    values: Vec<&'a str>,
}

impl<'a> Header<'a> {
    fn new(line: &'a str) -> Result<Self, String> {
        let columns: BTreeMap<_, _> = line.split(',').enumerate().map(|(at, name)| (name, at)).collect();
        let is_ipv6 = columns.contains_key("duid");
        let identity = if is_ipv6 { "duid" } else { "hwaddr" };
        match ["address", identity, "valid_lifetime", "expire"].into_iter().find(|name| !columns.contains_key(name)) {
            Some(missing) => Err(format!("there is no column `{missing}`")),
            None => Ok(Self { columns, is_ipv6 }),
        }
    }

    fn lease(&self, line: &str) -> Result<Lease, Fault> {
        let values: Vec<_> = line.split(',').collect();
        if values.len() > self.columns.len() {
            return Err(Fault::Unreadable(format!("{} values for {} columns", values.len(), self.columns.len())));
        }
        let row = Row { header: self, values };
        if self.is_ipv6 { row.lease6() } else { row.lease4() }
    }
}

impl Row<'_> {
    fn value(&self, column: &str) -> Option<&str> {
        self.values.get(*self.header.columns.get(column)?).copied()
    }

    fn needed(&self, column: &str) -> Result<&str, Fault> {
        self.value(column).ok_or_else(|| Fault::Unreadable(format!("cut off before `{column}`")))
    }

    fn lease4(&self) -> Result<Lease, Fault> {
        let address: Ipv4Addr = address(self.needed("address")?)?;
        let Some(times) = self.times()? else { return Ok(ended(address, number(self.needed("expire")?)?).into()) };
        let mac = match self.needed("hwaddr")? {
            "" => return Err(NOT_ETHERNET),
            text => mac(text)?,
        };
        Ok(bound(mac, address, times, self.hostname()).into())
    }

    fn lease6(&self) -> Result<Lease, Fault> {
        /// `Lease::TYPE_NA`, `TYPE_TA`, `TYPE_PD`.
        const TYPES: [&str; 3] = ["0", "1", "2"];
        match self.value("lease_type").unwrap_or(TYPES[0]) {
            kind if kind == TYPES[0] => (),
            kind if kind == TYPES[1] => return Err(TEMPORARY),
            kind if kind == TYPES[2] => return Err(PREFIX),
            other => return Err(no("type of lease", other)),
        }
        let address: Ipv6Addr = address(self.needed("address")?)?;
        let Some(times) = self.times()? else { return Ok(ended(address, number(self.needed("expire")?)?).into()) };
        let duid = self.needed("duid")?;
        let duid = colon_hex(duid).ok_or_else(|| no("DUID", duid))?;
        let seen = self.value("hwaddr").filter(|text| !text.is_empty()).map(mac).transpose()?;
        Ok(bound(dhcp6::known_by(&duid, seen), address, times, self.hostname()).into())
    }

    /// From when to when, if it is somebody's.
    fn times(&self) -> Result<Option<(u64, u64)>, Fault> {
        let (valid, expires) = (number(self.needed("valid_lifetime")?)?, number(self.needed("expire")?)?);
        match self.value("state").map_or(Ok(LEASED), number)? {
            LEASED if valid == 0 => Ok(None),
            // Written as `expire` all the same, which Kea before 1.9 let overflow.
            LEASED if valid >= FOR_EVER.as_secs() => {
                let granted = expires.saturating_sub(valid);
                Ok(Some((granted, granted.saturating_add(FOR_EVER.as_secs()))))
            }
            LEASED => Ok(Some((expires.saturating_sub(valid), expires))),
            ON_PROBATION => Err(DECLINED),
            RECLAIMED | RELEASED => Ok(None),
            other => Err(no("state of a lease", &other.to_string())),
        }
    }

    fn hostname(&self) -> Option<lab_model::MachineName> {
        hostname(self.value("hostname")?)
    }
}

pub(super) fn write(leases: &[LeaseRecord<Ipv4Addr>]) -> String {
    let mut text = format!("{COLUMNS}\n");
    for lease in leases {
        let LeaseRecord { mac, address, expires, .. } = lease;
        let (valid, name) = (valid(lease), name(lease.hostname.as_ref()));
        writeln!(text, "{address},{mac},,{valid},{},{SUBNET},0,0,{name},{LEASED},", expires.0)
            .expect("a String takes it");
    }
    text
}

pub(super) fn write6(leases: &[LeaseRecord<Ipv6Addr>]) -> String {
    let mut text = format!("{COLUMNS6}\n");
    for lease in leases {
        let LeaseRecord { mac, address, expires, .. } = lease;
        let (valid, name) = (valid(lease), name(lease.hostname.as_ref()));
        let [_, _, iaid @ ..] = mac.bytes();
        let iaid = u32::from_be_bytes(iaid);
        let (expires, duid) = (expires.0, format_args!("00:03:00:01:{mac}"));
        writeln!(
            text,
            "{address},{duid},{valid},{expires},{SUBNET},{valid},0,{iaid},128,0,0,{name},{mac},{LEASED},,1,0"
        )
        .expect("a String takes it");
    }
    text
}

/// How long the lease is; never 0, as which nobody would have it.
fn valid<A: Address>(lease: &LeaseRecord<A>) -> u64 {
    seconds(lease).map_or(FOR_EVER.as_secs(), |seconds| seconds.max(1))
}

fn name(hostname: Option<&lab_model::MachineName>) -> &str {
    hostname.map_or("", lab_model::MachineName::as_str)
}
