//! Addresses: offered, given, kept, changed and given back.

use std::time::Duration;

use dhcproto::v6::{OptionCode, Status};
use lab_model::What;
use pxe_proto::dhcp6::{Config, Ignored};

use crate::lan::{LEASE, Lan, config, host, machines};
use crate::packet::{CONFIRM, DECLINE, Packet, REBIND, RELEASE, RENEW, REQUEST, SOLICIT, mac, uuid};

#[test]
fn a_reservation_goes_before_the_pool_and_the_pool_before_nothing() {
    let mut lan = Lan::new(config(), machines(&[(1, Some(host(0x10)))]));

    assert_eq!(lan.boot(1), host(0x10));
    let others: Vec<_> = (2..=5).map(|number| lan.boot(number)).collect();

    assert!(others.iter().all(|address| (host(0x100)..=host(0x103)).contains(address)), "{others:?}");
    assert_eq!(lan.ignored(&Packet::new(SOLICIT, 6).association(1, &[])), Ignored::PoolExhausted(mac(6)));
}

#[test]
fn a_client_in_a_hurry_has_its_address_at_once() {
    let mut lan = Lan::new(config(), machines(&[(1, Some(host(0x10)))]));

    let answer = lan.answer(&Packet::new(SOLICIT, 1).option(14, &[]).association(1, &[]));

    assert!(answer.is_reply() && answer.option(OptionCode::RapidCommit).is_some());
    assert_eq!(answer.addresses(), [(host(0x10), 3600)]);
    assert_eq!(lan.journal.len(), 1);
}

#[test]
fn a_lone_servers_offer_need_not_be_compared_with_others() {
    let offer = |authoritative| {
        let mut lan = Lan::new(Config { authoritative, ..config() }, machines(&[]));
        lan.answer(&Packet::new(SOLICIT, 1).association(1, &[])).option(OptionCode::Preference).is_some()
    };

    assert_eq!((offer(true), offer(false)), (true, false));
}

#[test]
fn of_two_associations_the_first_gets_the_machines_one_address() {
    let mut lan = Lan::new(config(), machines(&[]));

    let answer = lan.answer(&Packet::new(SOLICIT, 1).association(1, &[]).association(2, &[]));

    let associations = answer.message.opts().get_all(OptionCode::IANA).expect("associations");
    assert_eq!((associations.len(), answer.addresses().len()), (2, 1));
    let two = Packet::new(SOLICIT, 1).association(2, &[]);
    assert_eq!(lan.answer(&two).addresses(), answer.addresses(), "whatever it calls it");
}

#[test]
fn a_lease_is_prolonged_and_tells_nothing_new() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.boot(1);

    for kind in [RENEW, REBIND] {
        lan.now += Duration::from_secs(1800);
        let packet = Packet::new(kind, 1).association(1, &[address]);
        let answer = lan.answer(&if kind == RENEW { packet.for_us() } else { packet });
        assert_eq!((answer.addresses(), answer.reply.event.clone()), (vec![(address, 3600)], None));
    }
    assert_eq!(lan.journal.len(), 3);
}

#[test]
fn a_machine_moves_when_its_reservation_changes() {
    let mut lan = Lan::new(config(), machines(&[]));
    let before = lan.boot(1);

    lan.engine.set_inventory(machines(&[(1, Some(host(0x10)))]));
    let answer = lan.answer(&Packet::new(RENEW, 1).for_us().association(1, &[before]));

    assert_eq!(answer.addresses(), [(host(0x10), 3600), (before, 0)]);
}

#[test]
fn another_configuration_keeps_leases_and_moves_a_machine_that_is_in_no_pool_any_more() {
    let mut lan = Lan::new(config(), machines(&[(2, Some(host(0x10)))]));
    let (first, second) = (lan.boot(1), lan.boot(2));

    lan.engine.set_config(Config { lease: Duration::from_secs(60), pool: Some(host(0x200)..=host(0x201)), ..config() });

    let kept = lan.answer(&Packet::new(RENEW, 2).for_us().association(1, &[second]));
    assert_eq!(kept.addresses(), [(second, 60)]);
    let moved = lan.answer(&Packet::new(RENEW, 1).for_us().association(1, &[first])).addresses();
    assert!((host(0x200)..=host(0x201)).contains(&moved[0].0), "{moved:?}");
    assert_eq!(moved[1..], [(first, 0)]);
    lan.engine.set_config(config());
    assert_ne!(lan.boot(3), second);
}

#[test]
fn a_client_of_a_server_that_forgot_it_keeps_its_address() {
    let mut lan = Lan::new(config(), machines(&[]));

    let answer = lan.answer(&Packet::new(REBIND, 1).association(1, &[host(0x102)]));

    assert_eq!(answer.addresses(), [(host(0x102), 3600)]);
}

#[test]
fn where_another_server_answers_too_a_stranger_is_its() {
    let mut lan = Lan::new(Config { authoritative: false, ..config() }, machines(&[]));

    let rebind = Packet::new(REBIND, 1).association(1, &[host(0x102)]);

    assert_eq!(lan.ignored(&rebind), Ignored::UnknownClient(mac(1)));
}

#[test]
fn who_chooses_another_server_leaves_our_offer_to_others() {
    let mut lan = Lan::new(Config { pool: Some(host(0x100)..=host(0x100)), ..config() }, machines(&[]));
    lan.offer(1);

    let elsewhere = Packet::new(REQUEST, 1).option(2, &[0, 4, 9]).association(1, &[host(0x500)]);

    assert_eq!(lan.ignored(&elsewhere), Ignored::OtherServer);
    assert_eq!(lan.offer(2), host(0x100));
}

#[test]
fn a_client_is_told_whether_it_is_where_its_address_is_from() {
    let mut lan = Lan::new(config(), machines(&[]));
    let foreign = "fd00:78::1".parse().unwrap();

    let mut status = |addresses: &[_]| lan.answer(&Packet::new(CONFIRM, 1).association(1, addresses)).status();

    assert_eq!(status(&[host(0x100)]), Some(Status::Success));
    assert_eq!(status(&[host(0x100), foreign]), Some(Status::NotOnLink));
    assert_eq!(lan.ignored(&Packet::new(CONFIRM, 1).association(1, &[])), Ignored::NoAddress);
}

#[test]
fn what_is_given_back_is_somebody_elses_next() {
    let mut lan = Lan::new(Config { pool: Some(host(0x100)..=host(0x100)), ..config() }, machines(&[]));
    lan.boot(1);
    let release = |number| Packet::new(RELEASE, number).for_us().association(1, &[host(0x100)]);

    assert_eq!(lan.answer(&release(2)).status(), Some(Status::NoBinding), "it is not its to give back");
    assert_eq!(lan.answer(&release(1)).status(), Some(Status::Success));

    assert_eq!(lan.boot(2), host(0x100));
}

/// EDK2 asks twice, for itself and for its PXE, and gives the first one back while the second is in use.
#[test]
fn what_is_given_back_stays_the_machines_until_somebody_needs_it() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.boot(1);
    let claim = |kind, id| Packet::new(kind, 1).for_us().association(id, &[address]);
    lan.answer(&claim(REQUEST, 2));

    lan.answer(&claim(RELEASE, 1));

    assert_ne!(lan.boot(2), address);
    assert_eq!(lan.answer(&claim(RENEW, 2)).addresses(), [(address, 3600)]);
}

#[test]
fn an_address_that_somebody_uses_unasked_is_nobodys_for_a_while() {
    let mut lan = Lan::new(config(), machines(&[]));
    let address = lan.boot(1);

    let answer = lan.answer(&Packet::new(DECLINE, 1).for_us().association(1, &[address]));

    assert_eq!(answer.reply.event, Some((mac(1), What::Decline { address: address.into(), holder: None })));
    assert_ne!(lan.boot(1), address);
}

#[test]
fn leases_outlive_a_crash_and_end_in_time() {
    let mut lan = Lan::new(config(), machines(&[]));
    let given: Vec<_> = (1..=4).map(|number| lan.boot(number)).collect();

    lan.restart(machines(&[]));

    assert_eq!((1..=4).map(|number| lan.boot(number)).collect::<Vec<_>>(), given);
    lan.now += LEASE + Duration::from_secs(1);
    lan.boot(5);
}

#[test]
fn whoever_shows_no_hardware_gets_an_address_and_has_no_history() {
    let mut lan = Lan::new(config(), machines(&[(1, Some(host(0x10)))]));
    let hidden = |kind| Packet::of(kind, "fe80::1".parse().unwrap()).option(1, &uuid(1));

    let first = lan.answer(&hidden(SOLICIT).association(1, &[]));
    let again = lan.answer(&hidden(SOLICIT).association(1, &[]));

    assert_eq!((first.addresses(), &first.reply.event), (again.addresses(), &None));
    assert_ne!(first.addresses()[0].0, host(0x10));
}

#[test]
fn without_a_pool_a_stranger_gets_nothing() {
    let mut lan = Lan::new(Config { pool: None, ..config() }, machines(&[]));

    assert_eq!(lan.ignored(&Packet::new(SOLICIT, 1).association(1, &[])), Ignored::NoPool(mac(1)));
}
