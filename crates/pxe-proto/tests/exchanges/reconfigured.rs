//! Another configuration, while machines have addresses by the one before.

use std::time::Duration;

use pxe_proto::dhcp::{Config, ReplyKind};

use crate::lan::{LEASE, Lan, config, host, machines};
use crate::packet::{Packet, mac};
use crate::relays::{NORTH, boot, far, three};

#[test]
fn leases_outlive_it_with_new_terms() {
    let mut lan = Lan::new(config(), machines(&[(2, Some(host(10)))]));
    let (first, second) = (lan.boot(1), lan.boot(2));

    lan.configure(|config| {
        config.lab.pool = vec![host(90)..=host(110)];
        config.lab.lease = Duration::from_secs(60);
        config.lab.domain = Some("other.lab".to_owned());
    });

    for (number, address) in [(1, first), (2, second)] {
        let renewed = lan.answer(&Packet::renew(mac(number), address));
        assert_eq!((renewed.kind(), renewed.yours), (ReplyKind::Ack, address));
        assert_eq!(
            (renewed.option(51), renewed.option(15)),
            (Some(&60_u32.to_be_bytes()[..]), Some(&b"other.lab"[..]))
        );
    }
}

#[test]
fn an_address_that_is_in_no_pool_any_more_is_refused_at_renewal_and_nobody_elses_before_it_ends() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.boot(1);

    lan.configure(|config| config.lab.pool = vec![host(50)..=host(51)]);

    assert_eq!(lan.answer(&Packet::renew(mac(1), address)).option(56), Some(&b"it is not in the pool"[..]));
    let moved = lan.boot(1);
    assert!((50..=51).map(host).any(|other| other == moved), "{moved}");
    let other = lan.boot(2);
    lan.configure(|config| config.lab.pool = vec![moved..=moved, address..=address]);
    assert_eq!(lan.answer(&Packet::renew(mac(2), other)).kind(), ReplyKind::Nak);
    assert_eq!(lan.boot(3), address, "its holder has moved");
}

#[test]
fn what_somebody_has_is_given_to_nobody_else_when_it_comes_into_the_pool_again() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.boot(1);
    lan.configure(|config| config.lab.pool = vec![host(50)..=host(51)]);

    lan.configure(|config| config.lab.pool = vec![address..=address]);

    assert_eq!(lan.answer(&Packet::renew(mac(1), address)).kind(), ReplyKind::Ack);
    assert_eq!(lan.answer(&Packet::reboot(mac(2), address)).option(56), Some(&b"another client has it"[..]));
}

#[test]
fn an_offer_is_held_through_it() {
    let mut lan = Lan::new(config(), machines(&[]));
    let offered = lan.offer(1);

    lan.configure(|config| config.lab.pool = vec![offered..=offered]);

    assert_eq!(lan.answer(&Packet::reboot(mac(2), offered)).kind(), ReplyKind::Nak);
    assert_eq!(lan.select(1, offered), ReplyKind::Ack);
}

#[test]
fn a_subnet_that_is_gone_and_comes_back_has_its_leases() {
    let mut lan = Lan::new(three(), machines(&[]));
    let address = boot(&mut lan, 1, NORTH);
    let has = |lan: &Lan| lan.engine.leases().any(|lease| lease.address == address);

    let relayed = std::mem::take(&mut lan.config.relayed);
    lan.configure(|_| ());
    assert!(has(&lan), "its holder may use it until it ends");
    lan.configure(|config| config.relayed = relayed);

    let taken = lan.answer(&Packet::reboot(mac(2), address).relay(NORTH));
    assert_eq!(taken.option(56), Some(&b"another client has it"[..]));
    assert_eq!(lan.answer(&Packet::renew(mac(1), address)).kind(), ReplyKind::Ack);
    lan.configure(|config| config.relayed.clear());
    lan.wait(LEASE + LEASE);
    lan.boot(3);
    lan.configure(|_| ());
    assert!(!has(&lan), "nothing is kept for ever");
}

#[test]
fn a_machine_of_two_subnets_that_become_one_keeps_what_it_got_last() {
    let mut lan = Lan::new(split(), machines(&[]));
    let here = lan.boot(1);
    lan.wait(Duration::from_secs(1));
    let there = boot(&mut lan, 1, host(129));

    lan.configure(|config| {
        config.relayed.clear();
        config.lab.network = "10.77.0.1/24".parse().expect("a network");
        config.lab.pool = vec![host(100)..=host(250)];
    });

    assert_eq!(lan.answer(&Packet::renew(mac(1), there)).kind(), ReplyKind::Ack);
    assert_eq!(lan.answer(&Packet::reboot(mac(2), here)).option(56), Some(&b"another client has it"[..]));
}

/// Two subnets that are halves of one network.
fn split() -> Config {
    let mut config = config();
    config.lab.network = "10.77.0.1/25".parse().expect("a network");
    let mut north = config.lab.clone();
    north.network = "10.77.0.128/25".parse().expect("a network");
    north.router = Some(host(129));
    north.pool = vec![host(200)..=host(210)];
    config.relayed = vec![north];
    config
}

#[test]
fn a_client_of_a_subnet_that_is_gone_is_not_answered_by_way_of_its_relay() {
    let mut lan = Lan::new(three(), machines(&[]));
    boot(&mut lan, 1, NORTH);

    lan.configure(|config| config.relayed.clear());

    let ignored = lan.ignored(&Packet::new(crate::packet::DISCOVER, mac(1)).relay(NORTH));
    assert_eq!(ignored, pxe_proto::dhcp::Ignored::ForeignRelay(NORTH));
    assert_eq!(lan.answer(&Packet::renew(mac(1), far(78, 50))).kind(), ReplyKind::Nak);
}
