//! Reservations, while they change under the machines that have them.

use lab_model::What;
use pxe_proto::dhcp::{Destination, Ignored, ReplyKind};

use crate::lan::{LEASE, Lan, config, host, machines};
use crate::packet::{DISCOVER, Packet, RELEASE, mac};

#[test]
fn a_changed_reservation_moves_its_machine_at_the_next_renewal() {
    let mut lan = Lan::new(config(), machines(&[(1, Some(host(10)))]));
    assert_eq!(lan.boot(1), host(10));

    lan.engine.set_inventory(machines(&[(1, Some(host(11)))]));
    let answer = lan.answer(&Packet::renew(mac(1), host(10)));

    assert_eq!((answer.kind(), answer.destination()), (ReplyKind::Nak, Destination::Broadcast));
    assert_eq!(answer.option(56), Some(&b"10.77.0.11 is reserved for this machine"[..]));
    assert_eq!(
        answer.reply.event,
        Some((
            mac(1),
            What::Nak { address: host(10).into(), reason: "10.77.0.11 is reserved for this machine".to_owned() }
        ))
    );
    assert_eq!(lan.boot(1), host(11));
    assert_eq!(lan.engine.leases().map(|lease| lease.address).collect::<Vec<_>>(), [host(11)]);
}

#[test]
fn a_removed_reservation_moves_its_machine_to_the_pool() {
    let mut lan = Lan::new(config(), machines(&[(1, Some(host(10)))]));
    lan.boot(1);

    lan.engine.set_inventory(machines(&[]));

    assert_eq!(lan.answer(&Packet::renew(mac(1), host(10))).option(56), Some(&b"it is not in the pool"[..]));
    assert!((100..=103).map(host).any(|address| address == lan.boot(1)));
}

#[test]
fn a_reserved_address_that_somebody_has_is_not_given_away_before_that_lease_ends() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.boot(1);
    lan.engine.set_inventory(machines(&[(2, Some(address))]));

    let meanwhile = lan.boot(2);

    assert_ne!(meanwhile, address, "it boots with an address of the pool");
    assert_eq!(
        lan.answer(&Packet::renew(mac(1), address)).option(56),
        Some(&b"it is reserved for another machine"[..])
    );
    assert_eq!(lan.answer(&Packet::renew(mac(2), meanwhile)).kind(), ReplyKind::Ack, "still in use");
    lan.wait(LEASE / 2);
    assert_ne!(lan.offer(2), address, "the refused client may not have heard the refusal");
    lan.wait(LEASE);
    assert_eq!(lan.answer(&Packet::renew(mac(2), meanwhile)).kind(), ReplyKind::Nak);
    assert_eq!(lan.boot(2), address);
}

#[test]
fn a_reserved_address_is_free_as_soon_as_its_holder_took_another() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.boot(1);
    lan.engine.set_inventory(machines(&[(2, Some(address))]));

    lan.answer(&Packet::renew(mac(1), address));
    assert_ne!(lan.boot(1), address);

    assert_eq!(lan.boot(2), address);
}

#[test]
fn a_reserved_address_is_free_as_soon_as_its_holder_gives_it_back() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.boot(1);
    lan.engine.set_inventory(machines(&[(2, Some(address))]));

    lan.change(&Packet::new(RELEASE, mac(1)).client_address(address).option(54, &host(1).octets()));

    assert_eq!(lan.boot(2), address);
}

#[test]
fn an_offer_of_an_address_that_has_been_reserved_since_is_void() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.offer(1);
    lan.engine.set_inventory(machines(&[(2, Some(address))]));

    assert_eq!(lan.select(1, address), ReplyKind::Nak);
    assert_eq!(lan.boot(2), address);
    assert_ne!(lan.boot(1), address);
}

#[test]
fn two_machines_swap_their_reservations() {
    let mut lan = Lan::new(config(), machines(&[(1, Some(host(10))), (2, Some(host(11)))]));
    assert_eq!((lan.boot(1), lan.boot(2)), (host(10), host(11)));
    lan.engine.set_inventory(machines(&[(1, Some(host(11))), (2, Some(host(10)))]));

    assert_eq!(lan.answer(&Packet::renew(mac(1), host(10))).kind(), ReplyKind::Nak);
    assert_eq!(lan.answer(&Packet::renew(mac(2), host(11))).kind(), ReplyKind::Nak);
    let meanwhile = lan.boot(1);
    assert!((100..=103).map(host).any(|address| address == meanwhile), "{meanwhile}");
    assert_eq!(lan.boot(2), host(10));
    assert_eq!(lan.boot(1), host(11));
}

#[test]
fn an_address_that_is_no_longer_reserved_comes_back_to_the_pool() {
    let mut config = config();
    config.lab.pool = vec![host(100)..=host(100)];
    let mut lan = Lan::new(config, machines(&[(9, Some(host(100)))]));
    assert_eq!(lan.ignored(&Packet::new(DISCOVER, mac(1))), Ignored::PoolExhausted(mac(1)));

    lan.engine.set_inventory(machines(&[]));

    assert_eq!(lan.boot(1), host(100));
}
