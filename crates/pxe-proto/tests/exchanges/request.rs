//! DHCPREQUEST: who gets what it asks for (RFC 2131 §4.3.2).

use std::net::Ipv4Addr;

use pxe_proto::dhcp::{Destination, Ignored, LeaseState, ReplyKind};

use crate::lan::{LEASE, Lan, config, host, machines};
use crate::packet::{DISCOVER, Packet, REQUEST, mac};

#[test]
fn selecting_gets_the_address_on_offer_and_no_other() {
    let mut lan = Lan::new(config(), machines(&[]));
    let (first, second) = (lan.offer(1), lan.offer(2));

    assert_eq!(lan.select(1, second), ReplyKind::Nak);
    assert_eq!(lan.select(1, first), ReplyKind::Ack);
}

#[test]
fn a_promise_must_be_on_disk_before_it_is_sent() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.offer(1);

    let lease = lan.answer(&Packet::select(mac(1), address, host(1))).reply.commit.expect("a lease to keep");

    assert_eq!((lease.mac, lease.address, lease.state), (mac(1), address, LeaseState::Bound));
    assert_eq!(lease.expires.0 - lease.granted.0, LEASE.as_secs());
    assert_eq!(lan.engine.leases().collect::<Vec<_>>(), [&lease]);
}

#[test]
fn choosing_another_server_frees_what_we_offered() {
    let mut lan = Lan::new(config(), machines(&[]));
    for number in 1..=4 {
        lan.offer(number);
    }
    let ours = lan.offer(1);

    let other = lan.ignored(&Packet::select(mac(1), host(200), host(2)));

    assert_eq!(other, Ignored::OtherServer(host(2)));
    assert_eq!(lan.offer(5), ours);
}

#[test]
fn an_offer_outlives_a_restart_of_the_server_if_its_address_is_free() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.offer(1);
    lan.restart(machines(&[]));

    assert_eq!(lan.select(1, address), ReplyKind::Ack);
}

#[test]
fn a_restarted_client_keeps_its_address() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.boot(1);

    let answer = lan.answer(&Packet::reboot(mac(1), address));

    assert_eq!((answer.kind(), answer.yours), (ReplyKind::Ack, address));
}

#[test]
fn a_restarted_client_with_a_wrong_address_is_refused() {
    let mut lan = Lan::new(config(), machines(&[]));
    let own = lan.boot(1);
    let others = lan.boot(2);
    let free = (100..=103).map(host).find(|address| ![own, others].contains(address)).expect("a free address");

    for wrong in [others, free, host(1), host(50), Ipv4Addr::new(192, 168, 1, 10)] {
        let answer = lan.answer(&Packet::reboot(mac(1), wrong));

        assert_eq!((answer.kind(), answer.yours), (ReplyKind::Nak, Ipv4Addr::UNSPECIFIED), "{wrong}");
        assert_eq!(answer.codes(), [53, 54, 56], "{wrong}");
    }
}

#[test]
fn a_lone_server_lets_unknown_clients_keep_what_it_could_have_given() {
    let mut lan = Lan::new(config(), machines(&[(9, Some(host(103)))]));

    assert_eq!(lan.answer(&Packet::reboot(mac(1), host(101))).kind(), ReplyKind::Ack);
    assert_eq!(lan.answer(&Packet::renew(mac(2), host(102))).kind(), ReplyKind::Ack);
    assert_eq!(lan.answer(&Packet::renew(mac(3), host(102))).kind(), ReplyKind::Nak);
    assert_eq!(lan.answer(&Packet::renew(mac(3), host(103))).kind(), ReplyKind::Nak);
    assert_eq!(lan.answer(&Packet::renew(mac(3), host(50))).kind(), ReplyKind::Nak);
}

#[test]
fn one_server_of_several_is_silent_to_unknown_clients() {
    let mut config = config();
    config.authoritative = false;
    let mut lan = Lan::new(config, machines(&[(2, Some(host(10)))]));

    assert_eq!(lan.ignored(&Packet::reboot(mac(1), host(101))), Ignored::UnknownClient(mac(1)));
    assert_eq!(lan.ignored(&Packet::renew(mac(1), host(101))), Ignored::UnknownClient(mac(1)));
    assert_eq!(lan.answer(&Packet::reboot(mac(2), host(101))).kind(), ReplyKind::Nak);
    assert_eq!(lan.boot(1), lan.boot(1));
    assert_eq!(lan.answer(&Packet::reboot(mac(1), host(50))).kind(), ReplyKind::Nak);
}

#[test]
fn renewing_prolongs_the_lease_and_tells_nobody() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.boot(1);
    lan.wait(LEASE / 2);

    let answer = lan.answer(&Packet::renew(mac(1), address));

    assert_eq!(answer.destination(), Destination::Unicast(address));
    assert_eq!((answer.kind(), answer.yours), (ReplyKind::Ack, address));
    assert_eq!(answer.reply.message[12..16], address.octets());
    assert_eq!(answer.reply.event, None);
    lan.wait(LEASE / 4 * 3);
    for number in 2..=4 {
        lan.boot(number);
    }
    assert_eq!(lan.ignored(&Packet::new(DISCOVER, mac(5))), Ignored::PoolExhausted(mac(5)));
}

#[test]
fn a_request_without_any_address_is_ignored() {
    let mut lan = Lan::new(config(), machines(&[]));

    assert_eq!(lan.ignored(&Packet::new(REQUEST, mac(1))), Ignored::NoAddress);
    assert_eq!(lan.ignored(&Packet::new(REQUEST, mac(1)).option(54, &host(1).octets())), Ignored::NoAddress);
}

#[test]
fn a_malformed_address_does_not_pass_for_none() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.boot(1);

    assert_eq!(lan.ignored(&Packet::renew(mac(1), address).option(54, &[10, 77, 0])), Ignored::MalformedOption(54));
    assert_eq!(lan.ignored(&Packet::new(REQUEST, mac(1)).option(50, &[1])), Ignored::MalformedOption(50));
}

#[test]
fn a_lease_knows_what_its_client_calls_itself_and_its_firmware_does_not_change_that() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.offer(1);
    let hostname =
        |lan: &Lan| lan.engine.leases().next().and_then(|lease| lease.hostname.clone()).map(|name| name.to_string());

    lan.answer(&Packet::select(mac(1), address, host(1)).option(12, b"Laptop.example"));
    assert_eq!(hostname(&lan).as_deref(), Some("laptop"));
    lan.offer(1);
    lan.answer(&Packet::select(mac(1), address, host(1)));
    assert_eq!(hostname(&lan).as_deref(), Some("laptop"));
    lan.answer(&Packet::renew(mac(1), address).option(12, b"laptop").option(81, b"\x04\0\0\x05other\0"));
    assert_eq!(hostname(&lan).as_deref(), Some("other"));
}
