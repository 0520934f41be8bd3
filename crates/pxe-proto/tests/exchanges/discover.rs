//! DHCPDISCOVER: which address is offered (RFC 2131 §4.3.1).

use std::net::Ipv4Addr;
use std::time::Duration;

use pxe_proto::dhcp::Ignored;

use crate::lan::{LEASE, Lan, OFFER_HOLD, config, host, machines};
use crate::packet::{DISCOVER, Packet, mac};

#[test]
fn no_two_clients_are_offered_the_same_address() {
    let mut lan = Lan::new(config(), machines(&[]));

    let mut offered: Vec<_> = (1..=4).map(|number| lan.offer(number)).collect();

    offered.sort();
    assert_eq!(offered, [host(100), host(101), host(102), host(103)]);
    assert_eq!(lan.ignored(&Packet::new(DISCOVER, mac(5))), Ignored::PoolExhausted(mac(5)));
    assert!(Ignored::PoolExhausted(mac(5)).needs_attention());
}

#[test]
fn an_offer_that_nobody_takes_up_lapses() {
    let mut lan = Lan::new(config(), machines(&[]));
    for number in 1..=4 {
        lan.offer(number);
    }

    lan.wait(OFFER_HOLD + Duration::from_secs(1));

    assert!((5..=8).all(|number| lan.offer(number) >= host(100)));
}

#[test]
fn asking_again_gets_the_same_offer() {
    let mut lan = Lan::new(config(), machines(&[]));

    assert_eq!(lan.offer(1), lan.offer(1));
}

#[test]
fn a_machine_gets_the_same_address_even_after_everything_was_lost() {
    let mut first = Lan::new(config(), machines(&[]));
    let mut second = Lan::new(config(), machines(&[]));

    assert_eq!(first.boot(7), second.boot(7));
}

#[test]
fn a_machine_comes_back_to_its_address_long_after_its_lease_ended() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.boot(1);
    lan.wait(LEASE * 100);
    lan.offer(2);

    assert_eq!(lan.offer(1), address);
}

#[test]
fn a_new_machine_gets_an_address_that_nobody_had_rather_than_a_used_one() {
    let mut lan = Lan::new(config(), machines(&[]));
    let used = lan.boot(1);
    lan.wait(LEASE * 2);

    assert!((2..=4).all(|number| lan.boot(number) != used));
    assert_eq!(lan.boot(5), used);
}

#[test]
fn a_requested_address_is_offered_if_it_is_free() {
    let mut lan = Lan::new(config(), machines(&[(9, Some(host(101)))]));
    let wish = |number, address: Ipv4Addr| Packet::new(DISCOVER, mac(number)).option(50, &address.octets());

    assert_eq!(lan.answer(&wish(1, host(102))).yours, host(102));
    assert_ne!(lan.answer(&wish(2, host(102))).yours, host(102), "on offer");
    assert_ne!(lan.answer(&wish(3, host(101))).yours, host(101), "reserved");
    assert_ne!(lan.answer(&wish(3, host(50))).yours, host(50), "not in the pool");
}

#[test]
fn a_reservation_goes_before_a_lease_and_a_wish() {
    let mut lan = Lan::new(config(), machines(&[]));
    let before = lan.boot(1);
    lan.engine.set_inventory(machines(&[(1, Some(host(10)))]));

    let answer = lan.answer(&Packet::new(DISCOVER, mac(1)).option(50, &before.octets()));

    assert_eq!(answer.yours, host(10));
}

#[test]
fn the_pool_leaves_out_the_server_and_what_is_reserved() {
    let mut config = config();
    config.lab.pool = vec![host(0)..=host(4)];
    let mut lan = Lan::new(config, machines(&[(9, Some(host(3)))]));

    let mut offered = [lan.offer(1), lan.offer(2)];

    offered.sort();
    assert_eq!(offered, [host(2), host(4)]);
    assert_eq!(lan.ignored(&Packet::new(DISCOVER, mac(3))), Ignored::PoolExhausted(mac(3)));
    assert_eq!(lan.offer(9), host(3));
}

#[test]
fn without_a_pool_only_machines_with_a_reservation_are_answered() {
    let mut config = config();
    config.lab.pool = Vec::new();
    let mut lan = Lan::new(config, machines(&[(1, Some(host(10))), (2, None)]));

    assert_eq!(lan.boot(1), host(10));
    assert_eq!(lan.ignored(&Packet::new(DISCOVER, mac(2))), Ignored::NoPool(mac(2)));
    assert_eq!(lan.ignored(&Packet::new(DISCOVER, mac(3))), Ignored::NoPool(mac(3)));
}

#[test]
fn a_lone_server_answers_networks_of_any_size() {
    for (server, pool, wanted) in [
        ("10.77.0.1/30", "10.77.0.0-10.77.0.3", 1),
        ("10.77.0.1/31", "10.77.0.0-10.77.0.1", 1),
        ("10.77.0.1/32", "10.77.0.1-10.77.0.1", 0),
        ("10.77.0.1/16", "10.77.0.0-10.77.255.255", 200),
        ("10.0.0.1/8", "10.0.0.0-10.255.255.255", 200),
    ] {
        let mut config = config();
        let (first, last) = pool.split_once('-').expect("two addresses");
        config.lab.network = server.parse().expect("a network");
        config.lab.pool = vec![first.parse().expect("an address")..=last.parse().expect("an address")];
        config.server = config.lab.network.address();
        config.lab.router = Some(config.server);
        let hosts = config.lab.network.hosts();
        let ours = config.server;
        let mut lan = Lan::new(config, machines(&[]));

        let given: std::collections::BTreeSet<_> = (1..=wanted).map(|number| lan.boot(number)).collect();

        assert_eq!(given.len(), usize::from(wanted), "{server}");
        assert!(given.iter().all(|address| hosts.contains(address) && *address != ours), "{server}");
        if wanted < 200 {
            let one_more = Packet::new(DISCOVER, mac(201));
            assert_eq!(lan.ignored(&one_more), Ignored::PoolExhausted(mac(201)), "{server}");
        }
    }
}
