//! Clients behind relay agents.

use std::net::Ipv6Addr;

use dhcproto::v6::{DhcpOption, OptionCode, RelayMessage};
use dhcproto::{Decodable, Decoder};
use pxe_proto::dhcp6::{Action, Ignored};

use crate::lan::{Lan, config, host, machines};
use crate::packet::{Packet, SOLICIT, link_local, uuid};

#[test]
fn an_answer_goes_back_through_every_relay() {
    let mut lan = Lan::new(config(), machines(&[(1, Some(host(0x10)))]));
    let near = Packet::new(SOLICIT, 1).association(1, &[]).relayed(host(2), 0, &[(18, b"port 7")]);
    let far = near.relayed(Ipv6Addr::UNSPECIFIED, 1, &[]);

    let Action::Reply(reply) = lan.send(&far) else { panic!("answered") };

    let outer = RelayMessage::decode(&mut Decoder::new(&reply.message)).expect("a relayed message");
    assert_eq!((outer.hop_count(), outer.peer_addr()), (1, "fd00:99::9".parse().unwrap()));
    let Some(DhcpOption::RelayMsg(inner)) = outer.opts().get(OptionCode::RelayMsg) else { panic!("{outer:?}") };
    assert!(format!("{inner:?}").contains("InterfaceId"), "{inner:?}");
    assert_eq!(reply.address, Some(host(0x10)));
}

#[test]
fn a_relay_that_has_seen_the_frame_tells_whose_it_is() {
    let mut lan = Lan::new(config(), machines(&[(1, Some(host(0x10)))]));
    let hidden = Packet::of(SOLICIT, "fe80::1".parse().unwrap()).option(1, &uuid(9)).association(1, &[]);

    let Action::Reply(reply) = lan.send(&hidden.relayed(host(2), 0, &[(79, &[0, 1, 0x52, 0x54, 0, 0, 0, 1])])) else {
        panic!("answered")
    };

    assert_eq!(reply.address, Some(host(0x10)));
}

#[test]
fn another_networks_relay_gets_no_answer() {
    let mut lan = Lan::new(config(), machines(&[]));
    let foreign: Ipv6Addr = "fd00:78::1".parse().unwrap();

    let relayed = Packet::new(SOLICIT, 1).association(1, &[]).relayed(foreign, 0, &[]);

    assert_eq!(lan.ignored(&relayed), Ignored::ForeignLink(foreign));
}

#[test]
fn nobody_is_relayed_more_than_eight_times() {
    let mut lan = Lan::new(config(), machines(&[]));
    let relayed = |times: u8| {
        (0..times).fold(Packet::new(SOLICIT, 1).association(1, &[]), |packet, hops| packet.relayed(host(2), hops, &[]))
    };

    assert!(matches!(lan.send(&relayed(8)), Action::Reply(_)));
    assert_eq!(lan.ignored(&relayed(9)), Ignored::RelayedTooOften);
    assert_eq!(link_local(1).segments()[0], 0xfe80);
}
