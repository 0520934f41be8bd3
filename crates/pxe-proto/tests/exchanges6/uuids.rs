//! Clients of which only the UUID tells which machine they are.

use std::sync::Arc;

use lab_model::{DefinitionFile, Inventory, Ipv4Net, What};
use pxe_proto::dhcp6::Action;

use crate::lan::{Lan, config, host};
use crate::packet::{Packet, SOLICIT, mac};

#[test]
fn a_machine_is_known_by_its_uuid_in_the_order_of_the_network_and_in_that_of_smbios() {
    let mut lan = Lan::new(config(), defined());

    for duid in [NETWORK, OVMF] {
        let Action::Reply(reply) = lan.send(&hidden(&duid)) else { panic!("answered") };

        assert_eq!((reply.mac, reply.address), (mac(1), Some(host(0x10))));
        assert!(matches!(reply.event, Some((of, What::Offer { .. })) if of == mac(1)), "{:?}", reply.event);
    }
}

#[test]
fn who_has_another_uuid_or_shows_a_hardware_address_is_not_the_machine() {
    let mut lan = Lan::new(config(), defined());
    let mut mac_of = |packet: &Packet| match lan.send(packet) {
        Action::Reply(reply) => reply.mac,
        Action::Ignore(reason) => panic!("{reason}"),
    };
    let mut other = NETWORK;
    other[17] ^= 1;

    assert_ne!(mac_of(&hidden(&other)), mac(1));
    assert_ne!(mac_of(&hidden(&NETWORK[..17])), mac(1));
    // Its second card, perhaps: the first one has the reservation.
    assert_eq!(
        mac_of(&Packet::of(SOLICIT, crate::packet::link_local(2)).option(1, &NETWORK).association(1, &[])),
        mac(2)
    );
}

/// A client that shows no hardware address.
fn hidden(duid: &[u8]) -> Packet {
    Packet::of(SOLICIT, "fe80::1".parse().unwrap()).option(1, duid).association(1, &[])
}

fn defined() -> Arc<Inventory> {
    let text = format!(
        "name = 'web'\narch = 'x86_64'\nmac = '{}'\nuuid = '70766d6c-6162-4000-8000-5254007700b0'\nipv6 = '{}'",
        mac(1),
        host(0x10)
    );
    let files = [DefinitionFile { file: "web.toml".to_owned(), text: Ok(text) }];
    let network: Ipv4Net = "10.77.0.1/24".parse().expect("a network");
    Arc::new(Inventory::build(&files, network, &Inventory::default()))
}

const NETWORK: [u8; 18] = [0, 4, 0x70, 0x76, 0x6d, 0x6c, 0x61, 0x62, 0x40, 0, 0x80, 0, 0x52, 0x54, 0, 0x77, 0, 0xb0];

/// What OVMF sent on a machine of this UUID.
const OVMF: [u8; 18] = [0, 4, 0x6c, 0x6d, 0x76, 0x70, 0x62, 0x61, 0, 0x40, 0x80, 0, 0x52, 0x54, 0, 0x77, 0, 0xb0];
