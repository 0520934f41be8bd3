//! Our own: a JSON object a line, with the fields of [`LeaseRecord`].

use serde::{Deserialize, Serialize};

use super::{Address, DECLINED, Entry, Fault, Lease, LeaseRecord, LeaseState, lines};

/// Either family: the address tells which.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    V4(LeaseRecord<std::net::Ipv4Addr>),
    V6(LeaseRecord<std::net::Ipv6Addr>),
}

pub(super) fn read(text: &[u8]) -> Vec<Entry> {
    lines(text).map(|(line, text)| Entry { line, lease: text.and_then(lease) }).collect()
}

fn lease(line: &str) -> Result<Lease, Fault> {
    let line = serde_json::from_str(line).map_err(|_| Fault::Unreadable("no JSON object of a lease".to_owned()))?;
    let (state, lease) = match line {
        Line::V4(lease) => (lease.state, lease.into()),
        Line::V6(lease) => (lease.state, lease.into()),
    };
    match state {
        LeaseState::Bound | LeaseState::Released => Ok(lease),
        LeaseState::Declined => Err(DECLINED),
        LeaseState::Offered => Err(Fault::Foreign("the address was only offered")),
    }
}

pub(super) fn write<A: Address + Serialize>(leases: &[LeaseRecord<A>]) -> String {
    let line = |lease| serde_json::to_string(lease).expect("a lease has a JSON form") + "\n";
    leases.iter().map(line).collect()
}
