//! Several subnets, and the relay agents by which their clients reach the server.

use std::net::Ipv4Addr;

use pxe_proto::dhcp::{Config, Destination, Ignored, ReplyKind, Settings, Subnet};

use crate::lan::{LEASE, Lan, config, host, inventory, machines};
use crate::packet::{DECLINE, DISCOVER, INFORM, Packet, RELEASE, REQUEST, mac};

#[test]
fn a_client_gets_the_address_and_the_parameters_of_the_subnet_that_it_is_relayed_from() {
    let mut lan = Lan::new(three(), machines(&[]));
    let discover = || Packet::new(DISCOVER, mac(1));

    let here = lan.answer(&discover());
    let north = lan.answer(&discover().relay(NORTH));
    let south = lan.answer(&discover().relay(SOUTH));

    assert!((100..=103).map(host).any(|address| address == here.yours), "{here}");
    assert_eq!((north.yours.octets()[..3].to_vec(), north.destination()), (vec![10, 78, 0], Destination::Relay(NORTH)));
    assert_eq!((north.option(1), north.option(3)), (Some(&[255, 255, 255, 0][..]), Some(&[10, 78, 0, 1][..])));
    assert_eq!((north.option(6), north.option(15)), (Some(&[10, 78, 0, 53][..]), Some(&b"north.lab"[..])));
    assert_eq!((north.option(51), north.option(28)), (Some(&[0, 0, 0, 120][..]), Some(&[10, 78, 0, 255][..])));
    assert_eq!(north.option(54), Some(&host(1).octets()[..]), "the server is where it is");
    assert!((50..=51).chain(60..=61).map(|last| far(79, last)).any(|address| address == south.yours), "{south}");
    assert_eq!((south.option(1), south.option(3)), (Some(&[255, 255, 254, 0][..]), None));
}

#[test]
fn a_machine_on_several_subnets_has_an_address_on_each() {
    let mut lan = Lan::new(three(), machines(&[]));

    let here = lan.boot(1);
    let there = boot(&mut lan, 1, NORTH);

    assert_eq!(lan.answer(&Packet::renew(mac(1), here)).kind(), ReplyKind::Ack);
    assert_eq!(lan.answer(&Packet::renew(mac(1), there)).kind(), ReplyKind::Ack);
    assert_eq!(lan.engine.leases().map(|lease| lease.address).collect::<Vec<_>>(), [here, there]);
    lan.restart(machines(&[]));
    assert_eq!((lan.boot(1), boot(&mut lan, 1, NORTH)), (here, there));
}

#[test]
fn every_range_of_a_pool_is_given() {
    let mut lan = Lan::new(three(), machines(&[]));

    let mut given: Vec<_> = (1..=4).map(|number| boot(&mut lan, number, SOUTH)).collect();

    given.sort();
    assert_eq!(given, [far(79, 50), far(79, 51), far(79, 60), far(79, 61)]);
    assert_eq!(lan.ignored(&Packet::new(DISCOVER, mac(5)).relay(SOUTH)), Ignored::PoolExhausted(mac(5)));
}

#[test]
fn a_router_in_its_own_pool_is_given_to_nobody() {
    let mut config = three();
    config.relayed[0].pool = vec![NORTH..=far(78, 2)];
    let mut lan = Lan::new(config, machines(&[]));

    assert_eq!(boot(&mut lan, 1, NORTH), far(78, 2));
    assert_eq!(lan.ignored(&Packet::new(DISCOVER, mac(2)).relay(NORTH)), Ignored::PoolExhausted(mac(2)));
}

#[test]
fn a_reservation_holds_on_its_own_subnet_alone() {
    let reserved = inventory([(mac(1), Some(far(78, 9)))], "aarch64", &three());
    let mut lan = Lan::new(three(), reserved);

    let refused = lan.answer(&Packet::reboot(mac(2), far(78, 9)).relay(NORTH));
    assert_eq!(refused.option(56), Some(&b"it is reserved for another machine"[..]));
    assert_eq!(boot(&mut lan, 1, NORTH), far(78, 9));
    assert!((100..=103).map(host).any(|address| address == lan.boot(1)));
}

/// RFC 2131 §4.3.2: past the relay, straight to the server.
#[test]
fn a_relayed_client_renews_and_gives_back_by_itself() {
    let mut lan = Lan::new(three(), machines(&[]));
    let address = boot(&mut lan, 1, NORTH);

    let renewed = lan.answer(&Packet::renew(mac(1), address));
    assert_eq!((renewed.kind(), renewed.destination()), (ReplyKind::Ack, Destination::Unicast(address)));
    assert_eq!(renewed.option(3), Some(&NORTH.octets()[..]));
    let informed = lan.answer(&Packet::new(INFORM, mac(1)).client_address(address));
    assert_eq!((informed.destination(), informed.option(15)), (Destination::Unicast(address), Some(&b"north.lab"[..])));
    let refused = lan.answer(&Packet::renew(mac(2), address));
    assert_eq!((refused.kind(), refused.destination()), (ReplyKind::Nak, Destination::Unicast(address)));
    let released = lan.change(&Packet::new(RELEASE, mac(1)).client_address(address).option(54, &host(1).octets()));
    assert_eq!(released.lease.address, address);
}

#[test]
fn a_relayed_client_that_moved_is_refused_its_old_address_by_way_of_the_relay() {
    let mut lan = Lan::new(three(), machines(&[]));
    let before = boot(&mut lan, 1, NORTH);

    let refused = lan.answer(&Packet::reboot(mac(1), before).relay(SOUTH));

    assert_eq!((refused.kind(), refused.destination()), (ReplyKind::Nak, Destination::Relay(SOUTH)));
    assert_eq!(refused.option(56), Some(&b"it is not a client's address on this network"[..]));
    assert_eq!(refused.reply.message[10..12], [0x80, 0], "RFC 2131 §4.3.2: the relay broadcasts it");
}

#[test]
fn a_relayed_decline_puts_the_address_on_probation() {
    let mut lan = Lan::new(three(), machines(&[]));
    let address = boot(&mut lan, 1, NORTH);

    let decline = Packet::new(DECLINE, mac(1)).option(50, &address.octets()).option(54, &host(1).octets());
    lan.change(&decline.relay(NORTH));

    assert_ne!(boot(&mut lan, 1, NORTH), address);
}

#[test]
fn a_relay_that_is_on_no_subnet_gets_no_answer_and_the_owner_hears_of_it() {
    let mut lan = Lan::new(three(), machines(&[]));

    for relay in [far(80, 1), far(78, 0), far(78, 255), host(1)] {
        let ignored = lan.ignored(&Packet::new(DISCOVER, mac(1)).relay(relay));
        assert_eq!(ignored, Ignored::ForeignRelay(relay));
        assert!(ignored.needs_attention());
    }
}

/// RFC 3527 §3.
#[test]
fn a_relays_word_on_the_subnet_goes_before_its_address() {
    let mut lan = Lan::new(three(), machines(&[]));
    let relay = Ipv4Addr::new(192, 0, 2, 1);
    let discover = |option: &[u8]| Packet::new(DISCOVER, mac(1)).relay(relay).option(82, option);

    let answer = lan.answer(&discover(&[1, 1, 7, 5, 4, 10, 78, 0, 0]));
    let unknown = lan.ignored(&discover(&[5, 4, 10, 80, 0, 0]));

    assert_eq!((answer.yours, answer.destination()), (far(78, 50), Destination::Relay(relay)));
    assert_eq!(answer.options.last(), Some(&(82, vec![1, 1, 7, 5, 4, 10, 78, 0, 0])));
    assert_eq!(unknown, Ignored::ForeignSubnet(far(80, 0)));
    let here = Packet::new(DISCOVER, mac(1)).option(82, &[5, 4, 10, 78, 0, 0]);
    assert_eq!(lan.answer(&here).option(3), Some(&host(1).octets()[..]), "only a relay selects a link");
}

/// RFC 3011 §2.
#[test]
fn a_client_may_ask_for_a_subnet_and_is_told_which_it_got() {
    let mut lan = Lan::new(three(), machines(&[]));
    let discover = || Packet::new(DISCOVER, mac(1)).option(118, &[10, 78, 0, 0]);

    let answer = lan.answer(&discover());

    assert_eq!((answer.yours, answer.destination()), (far(78, 50), Destination::Broadcast));
    assert_eq!(answer.option(118), Some(&[10, 78, 0, 0][..]));
    let relayed = lan.answer(&discover().relay(SOUTH).option(82, &[5, 4, 10, 79, 0, 0]));
    assert_eq!(relayed.option(1), Some(&[255, 255, 254, 0][..]), "the relay knows better");
    let elsewhere = Packet::new(DISCOVER, mac(1)).option(118, &[10, 80, 0, 0]);
    assert_eq!(lan.ignored(&elsewhere), Ignored::ForeignSubnet(far(80, 0)));
}

/// RFC 5107 §4.
#[test]
fn a_relay_may_stand_in_for_the_server() {
    let mut lan = Lan::new(three(), machines(&[]));
    let relayed = |packet: Packet| packet.relay(NORTH).option(82, &[11, 4, 10, 78, 0, 1]);

    let offer = lan.answer(&relayed(Packet::new(DISCOVER, mac(1))));
    let ack = lan.answer(&relayed(Packet::select(mac(1), offer.yours, NORTH)));
    let renewed = lan.answer(&relayed(Packet::renew(mac(1), offer.yours)));
    let refused = lan.answer(&relayed(Packet::reboot(mac(1), far(78, 77))));

    for answer in [&offer, &ack, &renewed, &refused] {
        assert_eq!(answer.option(54), Some(&NORTH.octets()[..]));
        assert_eq!(answer.destination(), Destination::Relay(NORTH));
    }
    assert_eq!((ack.kind(), renewed.kind(), refused.kind()), (ReplyKind::Ack, ReplyKind::Ack, ReplyKind::Nak));
    let without = Packet::select(mac(1), offer.yours, NORTH).relay(NORTH);
    assert_eq!(lan.ignored(&without), Ignored::OtherServer(NORTH));
}

/// RFC 3046 §2.2: dhcproto's own encoder would sort the sub-options.
#[test]
fn what_the_relay_says_comes_back_byte_by_byte_as_the_last_option() {
    let mut lan = Lan::new(three(), machines(&[]));
    let all: Vec<u8> = [9, 4, 0, 0, 1, 55, 2, 3, 1, 2, 3, 1, 4, b'e', b't', b'h', b'0', 151, 0].into();

    for kind in [DISCOVER, REQUEST] {
        let packet = Packet::new(kind, mac(1)).option(50, &far(78, 50).octets()).option(82, &all);
        let answer = lan.answer(&packet.relay(NORTH).option(61, &[0, 1]));
        assert_eq!(answer.options.last(), Some(&(82, all.clone())));
    }
}

/// The lab, 10.78.0.0/24 behind a relay at its router, and 10.79.0.0/23 whose relay is no router.
pub(crate) fn three() -> Config {
    let north = Subnet {
        network: "10.78.0.0/24".parse().expect("a network"),
        link: None,
        pool: vec![far(78, 50)..=far(78, 53)],
        lease: LEASE / 30,
        router: Some(NORTH),
        dns: vec![far(78, 53)],
        domain: Some("north.lab".to_owned()),
        options: Settings::default(),
    };
    let south = Subnet {
        network: "10.79.0.0/23".parse().expect("a network"),
        pool: vec![far(79, 50)..=far(79, 51), far(79, 60)..=far(79, 61)],
        router: None,
        ..north.clone()
    };
    Config { relayed: vec![north, south], ..config() }
}

/// The address that the machine gets by way of the relay.
pub(crate) fn boot(lan: &mut Lan, number: u8, relay: Ipv4Addr) -> Ipv4Addr {
    let offer = lan.answer(&Packet::new(DISCOVER, mac(number)).relay(relay));
    assert_eq!(offer.kind(), ReplyKind::Offer);
    let ack = lan.answer(&Packet::select(mac(number), offer.yours, host(1)).relay(relay));
    assert_eq!((ack.kind(), ack.yours), (ReplyKind::Ack, offer.yours));
    ack.yours
}

pub(crate) fn far(network: u8, last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, network, 0, last)
}

pub(crate) const NORTH: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
pub(crate) const SOUTH: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 1);
