//! Leases that another server gave: their machines go on with them, and nobody else gets their addresses.

use std::net::Ipv4Addr;
use std::time::Duration;

use pxe_proto::dhcp::{LeaseRecord, LeaseState, NotTakenOver, ReplyKind, UnixSeconds};

use crate::lan::{LEASE, Lan, config, host, machines};
use crate::packet::{Packet, REQUEST, mac};

#[test]
fn a_machine_renews_what_another_server_gave_it() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = pool(&lan);
    let lease = given(&lan, 1, address);
    lan.engine.take_over(lease, lan.now).expect("room");

    let renewed = lan.answer(&Packet::new(REQUEST, mac(1)).client_address(address));

    assert_eq!((renewed.kind(), renewed.yours), (ReplyKind::Ack, address));
    assert_ne!(lan.boot(2), address);
}

#[test]
fn what_a_machine_would_be_refused_is_not_taken_over() {
    let mut lan = Lan::new(config(), machines(&[(1, Some(host(10)))]));
    let mut take_over = |number, address| {
        let lease = given(&lan, number, address);
        lan.engine.take_over(lease, lan.now)
    };

    assert_eq!(take_over(2, Ipv4Addr::new(192, 0, 2, 9)), Err(NotTakenOver::Outside));
    assert_eq!(take_over(2, host(1)), Err(NotTakenOver::Outside), "the server's own");
    assert_eq!(take_over(2, host(11)), Err(NotTakenOver::NotInPool));
    assert_eq!(take_over(2, host(10)), Err(NotTakenOver::ReservedForAnother));
    assert_eq!(take_over(1, host(10)), Ok(()));
}

#[test]
fn whoever_has_an_address_from_us_keeps_it() {
    let mut lan = Lan::new(config(), machines(&[]));
    let (first, second) = (lan.boot(1), lan.boot(2));
    let mut take_over = |number, address| {
        let lease = given(&lan, number, address);
        lan.engine.take_over(lease, lan.now)
    };

    assert_eq!(take_over(3, first), Err(NotTakenOver::Taken(mac(1))));
    assert_eq!(take_over(1, first), Err(NotTakenOver::Known));
    let free = (100..=103).map(host).find(|address| ![first, second].contains(address)).expect("a pool of four");
    assert_eq!(take_over(1, free), Err(NotTakenOver::Has(first)));
    let longer = LeaseRecord { expires: UnixSeconds::from(lan.now).after(LEASE * 5), ..given(&lan, 1, first) };
    assert_eq!(lan.engine.take_over(longer, lan.now), Ok(()));
}

#[test]
fn what_has_ended_is_nobodys() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = pool(&lan);
    let lease = given(&lan, 1, address);
    lan.wait(LEASE + Duration::from_secs(1));

    assert_eq!(lan.engine.take_over(lease.clone(), lan.now), Err(NotTakenOver::Ended));
    let released = LeaseRecord { state: LeaseState::Released, expires: UnixSeconds(u64::MAX), ..lease };
    assert_eq!(lan.engine.take_over(released, lan.now), Err(NotTakenOver::Ended));
    assert_eq!(lan.engine.leases().count(), 0);
}

#[test]
fn what_another_server_says_of_the_future_is_of_now() {
    let mut lan = Lan::new(config(), machines(&[]));
    let lease = given(&lan, 1, pool(&lan));
    let ahead = LeaseRecord { granted: lease.granted.after(LEASE / 2), ..lease.clone() };

    lan.engine.take_over(ahead, lan.now).expect("room");

    assert_eq!(lan.engine.leases().collect::<Vec<_>>(), [&lease]);
}

/// An address of the pool that nobody has.
fn pool(lan: &Lan) -> Ipv4Addr {
    *lan.config.lab.pool[0].end()
}

/// A lease that somebody gave just now.
fn given(lan: &Lan, number: u8, address: Ipv4Addr) -> LeaseRecord {
    let granted = UnixSeconds::from(lan.now);
    LeaseRecord {
        mac: mac(number),
        address,
        state: LeaseState::Bound,
        granted,
        expires: granted.after(LEASE),
        hostname: None,
    }
}
