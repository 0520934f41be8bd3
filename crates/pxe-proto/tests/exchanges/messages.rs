//! What replies contain (RFC 2131 §4.3.1, table 3).

use std::net::Ipv4Addr;

use lab_model::{Firmware, Stage, What};
use pxe_proto::dhcp::{Destination, Ignored, ReplyKind};

use crate::answer::Answer;
use crate::lan::{Lan, config, host, machines};
use crate::packet::{DISCOVER, INFORM, Packet, mac};

const BIOS: &[u8] = b"PXEClient:Arch:00000:UNDI:002001";

#[test]
fn a_bios_finds_its_boot_file_in_the_header_and_in_the_options() {
    let mut lan = Lan::new(config(), machines(&[]));
    let packet = Packet::new(DISCOVER, mac(1)).option(60, BIOS).option(93, &[0, 0]);

    let answer = lan.answer(&packet);

    assert_eq!((answer.next_server, answer.file.as_str()), (host(1), "undionly.kpxe"));
    assert_eq!(answer.option(66), Some(&b"10.77.0.1"[..]));
    assert_eq!(answer.option(67), Some(&b"undionly.kpxe"[..]));
    assert_eq!(
        answer.reply.event,
        Some((mac(1), What::Offer { address: answer.yours.into(), firmware: Firmware::Bios }))
    );
}

#[test]
fn a_firmware_that_ends_the_boot_file_name_itself_harms_no_option() {
    let mut lan = Lan::new(config(), machines(&[]));
    let packet = Packet::new(DISCOVER, mac(1)).option(60, BIOS).option(93, &[0, 0]).option(61, &[1, 2]);
    let mut reply = lan.answer(&packet).reply;
    let name = b"undionly.kpxe";
    let before = Answer::of(reply.clone()).codes();

    // As EDK2 does with the byte behind the option.
    let at = reply.message.windows(name.len()).rposition(|window| window == name).expect("option 67");
    reply.message[at + name.len()] = 0;

    assert_eq!(Answer::of(reply).codes(), before);
}

#[test]
fn an_operating_system_is_told_its_name_and_nothing_to_boot() {
    let mut lan = Lan::new(config(), machines(&[(1, Some(host(10)))]));
    lan.offer(1);

    let answer = lan.answer(&Packet::select(mac(1), host(10), host(1)));

    assert_eq!((answer.next_server, answer.file.as_str()), (Ipv4Addr::UNSPECIFIED, ""));
    assert_eq!(answer.codes(), [53, 54, 51, 58, 59, 1, 3, 6, 12, 15, 28]);
    assert_eq!(answer.option(12), Some(&b"m1"[..]));
    let (_, what) = answer.reply.event.expect("an event");
    assert_eq!(what.stage(), Some(Stage::System));
}

#[test]
fn the_installer_is_told_from_the_installed_system() {
    let mut lan = Lan::new(config(), machines(&[(1, Some(host(10)))]));
    let class = lab_model::VENDOR_CLASS.as_bytes();

    let answer = lan.answer(&Packet::select(mac(1), host(10), host(1)).option(60, class));

    assert_eq!(answer.reply.firmware, Firmware::Installer);
    let (_, what) = answer.reply.event.expect("an event");
    assert_eq!(what.stage(), Some(Stage::Installer));
}

/// RFC 6842 §3 and RFC 3046 §2.2.
#[test]
fn the_client_identifier_is_echoed_and_the_relays_option_last() {
    let mut lan = Lan::new(config(), machines(&[]));
    let identifier = [1, 0x52, 0x54, 0, 0, 0, 1];
    let relayed = [1, 4, b'e', b't', b'h', b'0', 2, 1, 9, 151, 2, 1, 1];
    let with = |packet: Packet| packet.relay(host(200)).option(82, &relayed).option(61, &identifier);

    let discover = with(Packet::new(DISCOVER, mac(1)));
    let refused = with(Packet::reboot(mac(1), host(50)));

    for packet in [discover, refused] {
        let answer = lan.answer(&packet);
        assert_eq!(answer.option(61), Some(&identifier[..]));
        assert_eq!(answer.options.last(), Some(&(82, relayed.to_vec())));
    }
}

/// RFC 2131 §2 and RFC 2132 §9.10.
#[test]
fn no_message_is_longer_than_its_client_accepts() {
    let mut lan = Lan::new(config(), machines(&[(1, None)]));
    let long = Packet::new(DISCOVER, mac(1)).option(60, BIOS).option(93, &[0, 0]).option(61, &[7; 250]);
    let sized = |size: u16| long.clone().option(57, &size.to_be_bytes());

    let all = vec![53, 54, 51, 58, 59, 1, 61, 67, 3, 66, 6, 12, 15, 28];
    let overloaded = vec![53, 52, 54, 51, 58, 59, 1, 61, 67, 3, 66, 6, 12, 15, 28];
    for (packet, longest, codes) in [
        (long.clone(), 548, overloaded.clone()),
        (sized(0), 548, overloaded),
        (sized(1472), 1444, all.clone()),
        (sized(65280), 1472, all),
    ] {
        let answer = lan.answer(&packet);
        assert!(answer.reply.message.len() <= longest, "{}", answer.reply.message.len());
        assert_eq!(answer.codes(), codes);
        assert_eq!((answer.file.as_str(), answer.option(61)), ("undionly.kpxe", Some(&[7; 250][..])));
    }
}

/// RFC 2131 §4.1 and RFC 2132 §9.3.
#[test]
fn what_has_no_room_behind_the_header_is_in_its_names() {
    let mut config = config();
    config.lab.dns = (1..=60).map(host).collect();
    config.lab.domain = Some("long".repeat(30));
    let mut lan = Lan::new(config, machines(&[(1, None)]));

    let answer = lan.answer(&Packet::new(DISCOVER, mac(1)));

    assert_eq!(answer.option(52), Some(&[1][..]));
    assert_eq!((answer.option(6).map(<[u8]>::len), answer.option(15).map(<[u8]>::len)), (Some(240), Some(120)));
    assert_eq!(answer.reply.message[108..110], [15, 120]);
    assert_eq!((answer.option(12), answer.option(28)), (Some(&b"m1"[..]), Some(&[10, 77, 0, 255][..])));
    assert!(answer.reply.message.len() <= 548);
}

/// RFC 2131 §4.3.1 and RFC 2132 §9.8.
#[test]
fn a_client_gets_what_it_asks_for_in_its_own_order_and_what_it_needs_in_any_case() {
    let mut lan = Lan::new(config(), machines(&[(1, None)]));
    let asking = |codes: &[u8]| Packet::new(DISCOVER, mac(1)).option(55, codes);

    let codes = lan.answer(&asking(&[15, 3, 6, 42, 12, 1])).codes();
    assert_eq!(codes, [53, 54, 51, 58, 59, 1, 3, 15, 6, 12]);
    let codes = lan.answer(&asking(&[28]).option(60, BIOS).option(93, &[0, 0])).codes();
    assert_eq!(codes, [53, 54, 51, 58, 59, 1, 67, 3, 66, 28]);
}

#[test]
fn what_the_relay_takes_out_again_does_not_count_for_the_client() {
    let mut lan = Lan::new(config(), machines(&[]));

    let answer = lan.answer(&Packet::new(DISCOVER, mac(1)).relay(host(200)).option(82, &[7; 600]));

    assert_eq!(answer.option(82), Some(&[7; 600][..]));
    assert_eq!(answer.option(15), Some(&b"pvmlab.local"[..]));
}

#[test]
fn no_message_is_shorter_than_bootp() {
    let mut lan = Lan::new(config(), machines(&[]));

    assert_eq!(lan.answer(&Packet::reboot(mac(1), host(50))).reply.message.len(), 300);
}

#[test]
fn options_in_the_place_of_the_names_are_read() {
    let mut lan = Lan::new(config(), machines(&[]));
    let mut file = [0; 128];
    file[..7].copy_from_slice(&[50, 4, 10, 77, 0, 101, 255]);

    let answer = lan.answer(&Packet::new(DISCOVER, mac(1)).set(108, &file).option(52, &[1]));

    assert_eq!(answer.yours, host(101));
}

#[test]
fn inform_gets_parameters_and_no_lease() {
    let mut lan = Lan::new(config(), machines(&[]));

    let answer = lan.answer(&Packet::new(INFORM, mac(1)).client_address(host(50)).broadcast());

    assert_eq!((answer.kind(), answer.yours), (ReplyKind::Ack, Ipv4Addr::UNSPECIFIED));
    assert_eq!(answer.destination(), Destination::Unicast(host(50)));
    assert_eq!(answer.codes(), [53, 54, 1, 3, 6, 15, 28]);
    assert_eq!(lan.engine.leases().count(), 0);
    assert_eq!(lan.ignored(&Packet::new(INFORM, mac(1))), Ignored::NoAddress);
    let foreign = Ipv4Addr::new(192, 168, 1, 10);
    assert_eq!(lan.ignored(&Packet::new(INFORM, mac(1)).client_address(foreign)), Ignored::ForeignClient(foreign));
}
