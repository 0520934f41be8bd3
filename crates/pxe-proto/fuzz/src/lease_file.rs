//! Lease files of other DHCP servers.

use std::net::IpAddr;

use lab_model::MacAddr;
use pxe_proto::dhcp::{Address, LeaseRecord, LeaseState, UnixSeconds};
use pxe_proto::lease_file::{Format, Lease, latest, read, write, write6};

/// The first byte says whose file it is, the others are the file.
pub fn run(input: &[u8]) {
    let Some((first, text)) = input.split_first() else { return };
    let _ = Format::of(text);
    let format = FORMATS[usize::from(*first) % FORMATS.len()];
    let entries = read(text, format, NOW);
    let lines = text.split(|byte| *byte == b'\n').count();
    assert!(
        entries.len() <= text.len() && entries.iter().all(|entry| (1..=lines).contains(&entry.line)),
        "{entries:?}"
    );

    let (mut leases, mut leases6) = (Vec::new(), Vec::new());
    for at in latest(&entries) {
        match entries[at].lease.clone().expect("the latest are leases") {
            Lease::V4(lease) => leases.push(lease),
            Lease::V6(lease) => leases6.push(lease),
        }
    }
    // What is over no server writes.
    leases.retain(is_current);
    leases6.retain(is_current);
    for format in FORMATS {
        assert_eq!(holders(&write(&leases, format), format), leases.iter().map(holder).collect::<Vec<_>>());
        if let Some(text) = write6(&leases6, format) {
            assert_eq!(holders(&text, format), leases6.iter().map(holder).collect::<Vec<_>>());
        }
    }
}

/// Who has which address by this file, of which every entry can be read.
fn holders(text: &str, format: Format) -> Vec<(IpAddr, MacAddr)> {
    let entries = read(text.as_bytes(), format, NOW).into_iter();
    let holder = |lease| match lease {
        Lease::V4(lease) => holder(&lease),
        Lease::V6(lease) => holder(&lease),
    };
    entries.map(|entry| holder(entry.lease.expect("what is written can be read"))).collect()
}

fn is_current<A: Address>(lease: &LeaseRecord<A>) -> bool {
    lease.state == LeaseState::Bound && lease.expires > NOW
}

fn holder<A: Address + Into<IpAddr>>(lease: &LeaseRecord<A>) -> (IpAddr, MacAddr) {
    (lease.address.into(), lease.mac)
}

const FORMATS: [Format; 4] = [Format::Json, Format::Kea, Format::Dnsmasq, Format::Isc];

/// When the file is read: before the leases of the corpus end.
const NOW: UnixSeconds = UnixSeconds(1_795_876_000);
