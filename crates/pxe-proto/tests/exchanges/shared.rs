//! Several subnets on one link.

use std::net::Ipv4Addr;

use pxe_proto::dhcp::{Action, Class, Config, Destination, Ignored, ReplyKind, Selector, Settings, Subnet, Verdict};

use crate::lan::{LEASE, Lan, config, host, inventory, machines};
use crate::packet::{DISCOVER, INFORM, Packet, RELEASE, mac};
use crate::relays::{NORTH, three};

#[test]
fn a_client_gets_an_address_of_the_first_subnet_that_has_room_with_that_subnets_parameters() {
    let mut lan = Lan::new(shared(), machines(&[]));

    let mut given: Vec<_> = (1..=3).map(|number| lan.boot(number)).collect();

    let last = lan.answer(&Packet::new(DISCOVER, mac(3)));
    assert_eq!(last.yours, given[2]);
    assert_eq!((last.option(1), last.option(3)), (Some(&[255, 255, 0, 0][..]), Some(&[10, 81, 0, 1][..])));
    assert_eq!(last.option(51), Some(&120_u32.to_be_bytes()[..]));
    assert_eq!(last.destination(), Destination::Hardware { mac: mac(3), address: given[2] }, "it is on this link");
    given.sort();
    assert_eq!(given, [host(100), host(101), other(50)]);
    assert_eq!(lan.ignored(&Packet::new(DISCOVER, mac(4))), Ignored::PoolExhausted(mac(4)));
}

#[test]
fn a_client_has_one_address_of_a_link() {
    let reserved = || inventory([(mac(1), Some(other(9)))], "aarch64", &shared());
    let mut lan = Lan::new(shared(), machines(&[]));
    let before = lan.boot(1);

    lan.engine.set_inventory(reserved());
    let refused = lan.answer(&Packet::renew(mac(1), before));
    assert_eq!(refused.option(56), Some(&b"10.81.0.9 is reserved for this machine"[..]));
    assert_eq!(lan.boot(1), other(9));

    let leased = |lan: &Lan| lan.engine.leases().map(|lease| lease.address).collect::<Vec<_>>();
    assert_eq!(leased(&lan), [other(9)]);
    assert_eq!(lan.answer(&Packet::renew(mac(1), other(9))).kind(), ReplyKind::Ack);
    lan.restart(reserved());
    assert_eq!(leased(&lan), [other(9)], "what it had before is not taken up again");
    lan.change(&Packet::new(RELEASE, mac(1)).client_address(other(9)).option(54, &host(1).octets()));
}

#[test]
fn who_has_an_address_is_refused_one_of_another_subnet() {
    let mut lan = Lan::new(shared(), machines(&[]));
    let address = lan.boot(1);

    let refused = lan.answer(&Packet::reboot(mac(1), other(50)));

    assert_eq!(refused.option(56), Some(format!("this machine has {address}").as_bytes()));
    lan.wait(LEASE * 2);
    assert_eq!(lan.offer(1), address, "it had that last");
}

#[test]
fn an_offer_of_one_subnet_ends_when_another_is_taken() {
    let mut lan = Lan::new(shared(), machines(&[]));
    let first = lan.offer(1);
    let wish = Packet::new(DISCOVER, mac(1)).option(50, &other(50).octets());
    assert_eq!(lan.answer(&wish).yours, first, "what is on offer already");

    assert_eq!(lan.answer(&Packet::reboot(mac(1), other(50))).kind(), ReplyKind::Ack);

    let mut given = [lan.boot(2), lan.boot(3)];
    given.sort();
    assert_eq!(given, [host(100), host(101)]);
}

#[test]
fn a_class_goes_to_the_subnet_that_has_addresses_for_it() {
    let members = Selector { mac: Some(vec!["52:54:00:00:00:07".to_owned()]), ..Selector::default() };
    let class = Class { members, pool: vec![other(60)..=other(60)], ..Class::default() };
    let mut lan = Lan::new(Config { classes: vec![class], ..shared() }, machines(&[]));

    assert_eq!(lan.boot(7), other(60));
    assert!([host(100), host(101)].contains(&lan.boot(1)));
}

#[test]
fn a_relay_agent_may_be_of_any_subnet_of_its_link() {
    let mut config = three();
    config.relayed[0].pool = Vec::new();
    config.relayed[1].link = Some(config.relayed[0].network);
    let mut lan = Lan::new(config, machines(&[]));

    let offer = lan.answer(&Packet::new(DISCOVER, mac(1)).relay(NORTH));

    assert_eq!((offer.yours.octets()[1], offer.destination()), (79, Destination::Relay(NORTH)));
    let select = Packet::select(mac(1), offer.yours, host(1)).relay(NORTH);
    assert_eq!(lan.answer(&select).kind(), ReplyKind::Ack);
    assert_eq!(lan.answer(&Packet::renew(mac(1), offer.yours)).destination(), Destination::Unicast(offer.yours));
}

#[test]
fn every_subnet_of_the_servers_link_is_asked_who_has_an_address() {
    let mut config = Config { probe: true, ..shared() };
    config.lab.pool = Vec::new();
    let mut lan = Lan::new(config, machines(&[]));

    let Action::Probe(address) = lan.send(&Packet::new(DISCOVER, mac(1)).bytes()) else { panic!("asked about") };

    assert_eq!(address, other(50));
    assert!(matches!(lan.hear(address, Verdict::Free)[..], [Action::Reply(_)]));
}

#[test]
fn who_asks_for_parameters_gets_those_of_its_own_subnet() {
    let mut lan = Lan::new(shared(), machines(&[]));

    let answer = lan.answer(&Packet::new(INFORM, mac(1)).client_address(other(200)));

    assert_eq!(answer.option(3), Some(&[10, 81, 0, 1][..]));
}

/// The server's own network with two addresses, and another on the same link with one.
fn shared() -> Config {
    let mut config = config();
    config.lab.pool = vec![host(100)..=host(101)];
    let second = Subnet {
        network: "10.81.0.0/16".parse().expect("a network"),
        link: Some("10.77.0.0/24".parse().expect("a network")),
        pool: vec![other(50)..=other(50)],
        lease: std::time::Duration::from_secs(120),
        router: Some(other(1)),
        dns: Vec::new(),
        domain: None,
        options: Settings::default(),
    };
    config.relayed = vec![second];
    config
}

fn other(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 81, 0, last)
}
