//! Names that mean nothing outside of a network, or of a host: nobody elsewhere can know them, and is not to hear of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::name::Label;

use super::Name;
use super::block::Block;
use super::query::Query;
use super::reply::{Authority, Data, Verdict};
use super::zone::{Zone, asked};

/// RFC 6761 §6.4, RFC 7686 §2, RFC 6762 §22.1: there are no such names here.
const NOWHERE: [&[u8]; 3] = [b"invalid", b"onion", b"local"];

/// RFC 6303 §4 and RFC 7793 §2: each zone of which there is one for every private network, as blocks.
const PRIVATE: [Block; 16] = [
    Block::v4(Ipv4Addr::new(0, 0, 0, 0), 8),
    Block::v4(Ipv4Addr::new(10, 0, 0, 0), 8),
    Block::v4(Ipv4Addr::new(100, 64, 0, 0), 10),
    Block::v4(Ipv4Addr::new(127, 0, 0, 0), 8),
    Block::v4(Ipv4Addr::new(169, 254, 0, 0), 16),
    Block::v4(Ipv4Addr::new(172, 16, 0, 0), 12),
    Block::v4(Ipv4Addr::new(192, 0, 2, 0), 24),
    Block::v4(Ipv4Addr::new(192, 168, 0, 0), 16),
    Block::v4(Ipv4Addr::new(198, 51, 100, 0), 24),
    Block::v4(Ipv4Addr::new(203, 0, 113, 0), 24),
    Block::v4(Ipv4Addr::new(255, 255, 255, 255), 32),
    Block::v6(Ipv6Addr::UNSPECIFIED, 128),
    Block::v6(Ipv6Addr::LOCALHOST, 128),
    Block::v6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0), 8),
    Block::v6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    Block::v6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
];

/// What there is to say about such a name; nothing about all others.
pub(super) fn find(query: &Query, zone: &Zone) -> Option<Verdict> {
    match Block::of(&query.name) {
        Some((block, exact)) => find_block(query, &block, exact, zone),
        None => find_name(query, zone),
    }
}

fn find_name(query: &Query, zone: &Zone) -> Option<Verdict> {
    let top = query.name.iter().rev().nth(1).map(Label::as_slice)?;
    // RFC 6761 §6.3: every name below is that very host too.
    if top.eq_ignore_ascii_case(b"localhost") {
        let data = vec![Data::A(Ipv4Addr::LOCALHOST), Data::Aaaa(Ipv6Addr::LOCALHOST)];
        return Some(Verdict { exists: true, data: asked(data, query.rtype), authority: own(localhost()) });
    }
    let nowhere = NOWHERE.iter().find(|nowhere| top.eq_ignore_ascii_case(nowhere))?;
    let apex = Name::vec_from_str(str::from_utf8(nowhere).ok()?).ok()?;
    Some(Verdict { exists: zone.is_below(&query.name), data: Vec::new(), authority: own(apex) })
}

fn find_block(query: &Query, block: &Block, exact: bool, zone: &Zone) -> Option<Verdict> {
    let private = PRIVATE.iter().find(|private| private.holds(block))?;
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    if exact && loopback.into_iter().any(|loopback| Block::one(loopback) == *block) {
        let data = asked(vec![Data::Ptr(localhost())], query.rtype);
        return Some(Verdict { exists: true, data, authority: own(private.zone_of(block)) });
    }
    Some(zone.find_block(query, block, exact, own(private.zone_of(block))))
}

/// RFC 6303 §3: an empty zone is its own server.
fn own(apex: Name) -> Authority {
    Authority { server: apex.clone(), apex }
}

fn localhost() -> Name {
    Name::vec_from_str("localhost").expect("a short name")
}
