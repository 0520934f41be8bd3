//! Where replies go (RFC 2131 §4.1).

use std::net::Ipv4Addr;

use pxe_proto::dhcp::{Destination, Ignored};

use crate::lan::{Lan, config, host, machines};
use crate::packet::{DISCOVER, Packet, mac};

/// RFC 2131 §4.1, in its order.
#[test]
fn a_reply_goes_where_its_client_can_hear_it() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.boot(1);
    let relay = host(200);
    let mut destination = |packet: Packet| lan.answer(&packet).destination();

    let discover = || Packet::new(DISCOVER, mac(1));
    assert_eq!(destination(discover()), Destination::Hardware { mac: mac(1), address });
    assert_eq!(destination(discover().broadcast()), Destination::Broadcast);
    assert_eq!(destination(discover().broadcast().relay(relay)), Destination::Relay(relay));
    assert_eq!(destination(discover().client_address(host(9))), Destination::Hardware { mac: mac(1), address });
    assert_eq!(destination(Packet::renew(mac(1), address).broadcast()), Destination::Unicast(address));
    assert_eq!(destination(Packet::renew(mac(1), address).relay(relay)), Destination::Relay(relay));
    assert_eq!(destination(Packet::renew(mac(1), host(50))), Destination::Broadcast, "a refusal");
    assert_eq!(destination(Packet::renew(mac(1), host(50)).relay(relay)), Destination::Relay(relay), "a refusal");
}

#[test]
fn a_relay_is_to_broadcast_a_refusal() {
    let mut lan = Lan::new(config(), machines(&[]));

    let answer = lan.answer(&Packet::reboot(mac(1), host(50)).relay(host(200)));

    assert_eq!(answer.reply.message[10..12], [0x80, 0]);
}

#[test]
fn a_relay_of_another_network_is_ignored() {
    let mut lan = Lan::new(config(), machines(&[]));

    for relay in [Ipv4Addr::new(192, 168, 1, 1), host(255), host(1)] {
        let packet = Packet::new(DISCOVER, mac(1)).relay(relay);
        assert_eq!(lan.ignored(&packet), Ignored::ForeignRelay(relay));
    }
}
