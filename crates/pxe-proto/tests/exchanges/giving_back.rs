//! DHCPDECLINE and DHCPRELEASE: addresses that come back (RFC 2131 §4.3.3, §4.3.4).

use std::time::Duration;

use lab_model::What;
use pxe_proto::dhcp::{Ignored, LeaseState, ReplyKind};

use crate::lan::{DECLINE_HOLD, Lan, config, host, machines};
use crate::packet::{DECLINE, DISCOVER, Packet, RELEASE, mac};

#[test]
fn a_declined_address_is_nobodys_until_its_probation_ends() {
    let mut config = config();
    config.lab.pool = vec![host(100)..=host(101)];
    let mut lan = Lan::new(config, machines(&[]));
    let address = lan.boot(1);
    let decline = Packet::new(DECLINE, mac(1)).option(50, &address.octets()).option(54, &host(1).octets());

    let change = lan.change(&decline);

    assert_eq!(change.lease.state, LeaseState::Declined);
    assert_eq!(change.event, Some((mac(1), What::Decline { address: address.into(), holder: None })));
    let other = lan.boot(1);
    assert_ne!(other, address);
    assert_eq!(lan.ignored(&Packet::new(DISCOVER, mac(2))), Ignored::PoolExhausted(mac(2)));
    assert_eq!(
        lan.answer(&Packet::reboot(mac(2), address)).option(56),
        Some(&b"a host that did not ask for it uses it"[..])
    );
    lan.restart(machines(&[]));
    assert_eq!(lan.ignored(&Packet::new(DISCOVER, mac(2))), Ignored::PoolExhausted(mac(2)), "probation is kept");
    lan.wait(DECLINE_HOLD + Duration::from_secs(1));
    assert_eq!(lan.boot(2), address);
}

#[test]
fn a_machine_that_declines_its_reservation_boots_from_the_pool() {
    let mut lan = Lan::new(config(), machines(&[(1, Some(host(10)))]));
    lan.boot(1);
    lan.change(&Packet::new(DECLINE, mac(1)).option(50, &host(10).octets()).option(54, &host(1).octets()));

    assert!((100..=103).map(host).any(|address| address == lan.boot(1)));
    lan.wait(DECLINE_HOLD + Duration::from_secs(1));
    assert_eq!(lan.boot(1), host(10));
}

#[test]
fn a_released_address_is_free_and_still_its_machines_first_choice() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.boot(1);
    let release = Packet::new(RELEASE, mac(1)).client_address(address).option(54, &host(1).octets());

    let change = lan.change(&release);

    assert_eq!((change.lease.state, change.event), (LeaseState::Released, None));
    assert_eq!(lan.ignored(&release), Ignored::NotTheirs(mac(1), address));
    assert_eq!(lan.offer(1), address);
    assert_ne!(lan.answer(&Packet::new(DISCOVER, mac(2)).option(50, &address.octets())).yours, address);
}

#[test]
fn nobody_gives_back_or_declines_what_another_has() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.boot(1);

    let release = Packet::new(RELEASE, mac(2)).client_address(address).option(54, &host(1).octets());
    assert_eq!(lan.ignored(&release), Ignored::NotTheirs(mac(2), address));
    let decline = Packet::new(DECLINE, mac(2)).option(50, &address.octets()).option(54, &host(1).octets());
    assert_eq!(lan.ignored(&decline), Ignored::NotTheirs(mac(2), address));
    let elsewhere = Packet::new(RELEASE, mac(1)).client_address(address).option(54, &host(2).octets());
    assert_eq!(lan.ignored(&elsewhere), Ignored::OtherServer(host(2)));
    assert_eq!(lan.answer(&Packet::renew(mac(1), address)).kind(), ReplyKind::Ack);
}
