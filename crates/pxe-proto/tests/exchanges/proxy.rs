//! Beside a DHCP server that gives the addresses: what network boot clients are told, and what is made of all else.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use lab_model::{Firmware, Inventory, MacAddr, What};
use proptest::prelude::*;
use pxe_proto::dhcp::{
    Arrival, Audience, Destination, Heard, Ignored, Proxy, ProxyAction, ProxyConfig, ReplyKind, Request,
};

use crate::answer::Answer;
use crate::boots::packets;
use crate::lan::{config, host, inventory, machines};
use crate::packet::{DECLINE, DISCOVER, INFORM, Packet, RELEASE, REQUEST, mac};

#[test]
fn edk2_is_told_by_an_offer_that_it_asks_again_for() {
    insta::assert_snapshot!(replay("x86_64", include_bytes!("../captures/edk2-x64-pxe.pcap")), @r#"
    0.000 offer 0.0.0.0 to everyone, 309 bytes, stage offer
        siaddr 10.77.0.1 file "ipxe-x86_64.efi"
        54 10.77.0.1
        60 PXEClient
        97 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        67 ipxe-x86_64.efi
        66 10.77.0.1
    4.823 heard Elsewhere { address: 10.77.0.129, firmware: UefiX64, server: None }
    "#);
}

#[test]
fn edk2_http_boot_is_told_its_url() {
    insta::assert_snapshot!(replay("aarch64", include_bytes!("../captures/edk2-arm64-http.pcap")), @r#"
    0.000 offer 0.0.0.0 to everyone, 320 bytes, stage offer
        siaddr 10.77.0.1 file ""
        54 10.77.0.1
        60 HTTPClient
        97 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        67 http://10.77.0.1/boot/ipxe-arm64.efi
    3.817 heard Elsewhere { address: 10.77.0.113, firmware: HttpArm64, server: None }
    7.273 offer 0.0.0.0 to everyone, 359 bytes, stage offer
        siaddr 10.77.0.1 file ""
        54 10.77.0.1
        61 01 52 54 00 77 00 10
        60 PXEClient
        97 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        43 06 01 08 ff
        67 http://10.77.0.1/ipxe?mac=52:54:00:77:00:10&arch=${buildarch}
    8.266 offer 0.0.0.0 to everyone, 359 bytes, stage offer
        the same
    10.267 heard Elsewhere { address: 10.77.0.113, firmware: Ipxe, server: None }
    "#);
}

#[test]
fn an_ipxe_option_rom_is_told_its_script() {
    insta::assert_snapshot!(replay("x86_64", include_bytes!("../captures/ipxe-rom-bios.pcap")), @r#"
    0.000 offer 0.0.0.0 to everyone, 359 bytes, stage offer
        siaddr 10.77.0.1 file ""
        54 10.77.0.1
        61 01 52 54 00 77 00 20
        60 PXEClient
        97 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        43 06 01 08 ff
        67 http://10.77.0.1/ipxe?mac=52:54:00:77:00:20&arch=${buildarch}
    1.037 offer 0.0.0.0 to everyone, 359 bytes, stage offer
        the same
    3.069 heard Elsewhere { address: 10.77.0.129, firmware: Ipxe, server: None }
    22.714 offer 0.0.0.0 to everyone, 359 bytes, stage offer
        the same
    24.214 offer 0.0.0.0 to everyone, 359 bytes, stage offer
        the same
    26.253 heard Elsewhere { address: 10.77.0.129, firmware: Ipxe, server: None }
    "#);
}

#[test]
fn a_bios_is_told_to_take_the_boot_file_as_it_is_offered() {
    let proxy = known("x86_64");

    let offer = answer(&proxy, &pxe(DISCOVER, 0), Arrival::Broadcast);

    insta::assert_snapshot!(offer.contents(), @r#"
    siaddr 10.77.0.1 file "undionly.kpxe"
    54 10.77.0.1
    60 PXEClient
    97 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10
    43 06 01 08 ff
    67 undionly.kpxe
    66 10.77.0.1
    "#);
}

#[test]
fn the_boot_server_answers_at_the_address_and_port_of_the_question() {
    let proxy = known("x86_64");
    let sender = SocketAddrV4::new(host(50), 4011);

    for kind in [REQUEST, INFORM] {
        let ack = answer(&proxy, &pxe(kind, 7).client_address(host(51)), Arrival::BootServer(sender));

        assert_eq!((ack.kind(), ack.destination(), ack.yours), (ReplyKind::Ack, Destination::Sender(sender), NOWHERE));
        assert_eq!((ack.file.as_str(), ack.option(43)), ("ipxe-x86_64.efi", None));
        assert_eq!(ack.reply.message[12..16], host(51).octets());
        let has = What::Elsewhere { address: host(50).into(), firmware: Firmware::UefiX64, server: None };
        assert_eq!(ack.reply.event, Some((mac(1), has)));
    }
}

#[test]
fn the_boot_server_answers_nobody_from_elsewhere() {
    let proxy = known("x86_64");
    let ask = |sender: Ipv4Addr| ignored(&proxy, &pxe(REQUEST, 7), Arrival::BootServer(SocketAddrV4::new(sender, 68)));

    for sender in
        [NOWHERE, Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST, host(1), host(0), host(255), [10, 78, 0, 9].into()]
    {
        assert_eq!(ask(sender), Ignored::ForeignClient(sender));
    }
    let sender = Arrival::BootServer(SocketAddrV4::new(host(50), 68));
    let other = pxe(REQUEST, 7).option(54, &host(66).octets());
    assert_eq!(ignored(&proxy, &other, sender), Ignored::OtherServer(host(66)));
    for kind in [DISCOVER, DECLINE, RELEASE] {
        assert_eq!(ignored(&proxy, &pxe(kind, 7), sender), Ignored::AddressesElsewhere);
    }
}

#[test]
fn strangers_are_answered_only_where_everybody_is() {
    let (known, all) = (proxy(Audience::Known, Arc::default()), proxy(Audience::Everybody, Arc::default()));
    let ask = pxe(DISCOVER, 7);

    assert_eq!(ignored(&known, &ask, Arrival::Broadcast), Ignored::Stranger(mac(1)));
    assert_eq!(answer(&all, &ask, Arrival::Broadcast).file, "ipxe-x86_64.efi");
}

#[test]
fn who_is_to_boot_nothing_from_here_hears_nothing() {
    let proxy = proxy(Audience::Everybody, machines(&[(1, None)]));

    // Machine 1 is defined as aarch64; nobody has a program for 32-bit Arm; whoever has booted asks for an address alone.
    assert_eq!(ignored(&proxy, &pxe(DISCOVER, 10), Arrival::Broadcast), Ignored::NothingToBoot(mac(1)));
    assert_eq!(ignored(&proxy, &Packet::new(DISCOVER, mac(1)), Arrival::Broadcast), Ignored::AddressesElsewhere);
    for kind in [DECLINE, RELEASE, INFORM] {
        assert_eq!(ignored(&proxy, &pxe(kind, 7), Arrival::Broadcast), Ignored::AddressesElsewhere);
    }
    let relayed = pxe(DISCOVER, 7).relay(host(9));
    assert_eq!(ignored(&proxy, &relayed, Arrival::Broadcast), Ignored::ForeignRelay(host(9)));
}

#[test]
fn whose_address_a_machine_takes_is_heard() {
    let proxy = proxy(Audience::Known, machines(&[(1, None)]));
    let server = Some(host(66));
    let event = |server| {
        let has = What::Elsewhere { address: host(50).into(), firmware: Firmware::Os, server };
        Some((mac(1), has))
    };
    let heard = |packet: &Packet| match handle(&proxy, &packet.bytes(), Arrival::Broadcast) {
        ProxyAction::Heard(heard) => Ok(heard),
        ProxyAction::Ignore(ignored) => Err(ignored),
        ProxyAction::Reply(reply) => panic!("{reply:?}"),
    };

    let takes = |number| Packet::select(mac(number), host(50), host(66));
    assert_eq!(heard(&takes(1)), Ok(Heard { server, event: event(server) }));
    assert_eq!(heard(&takes(2)), Ok(Heard { server, event: None }), "nobody's boot of ours");
    assert_eq!(heard(&Packet::reboot(mac(1), host(50))), Ok(Heard { server: None, event: event(None) }));
    for nothing in [Packet::renew(mac(1), host(50)), Packet::reboot(mac(2), host(50)), Packet::new(REQUEST, mac(1))] {
        assert_eq!(heard(&nothing), Err(Ignored::AddressesElsewhere));
    }
}

#[test]
fn a_class_says_what_its_members_boot_here_too() {
    let class = pxe_proto::dhcp::Class {
        members: pxe_proto::dhcp::Selector { arch: Some(vec![10]), ..Default::default() },
        boot: Some(pxe_proto::dhcp::ClassBoot::File { name: "start4.elf".to_owned(), server: Some(host(3)) }),
        ..Default::default()
    };
    let told = ProxyConfig { classes: vec![class], ..told(Audience::Everybody) };
    let proxy = Proxy::new(told, Arc::default());

    let offer = answer(&proxy, &pxe(DISCOVER, 10), Arrival::Broadcast);

    assert_eq!((offer.file.as_str(), offer.next_server), ("start4.elf", host(3)));
    assert_eq!(offer.option(54), Some(&host(1).octets()[..]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing that only who gives addresses may say, and nowhere but to the link or to who asked.
    #[test]
    fn no_answer_gives_an_address(
        kind in 0_u8..10,
        arch in 0_u8..20,
        http in any::<bool>(),
        number in 1_u8..3,
        fields in prop::collection::vec(any::<u8>(), 16),
        options in prop::collection::vec((1_u8..=254, prop::collection::vec(any::<u8>(), 0..40)), 0..8),
        sender in (any::<u32>(), any::<u16>()),
        at_the_boot_server in any::<bool>(),
    ) {
        let arrival = match at_the_boot_server {
            true => Arrival::BootServer(SocketAddrV4::new(Ipv4Addr::from_bits(sender.0 % 300 + host(0).to_bits()), sender.1)),
            false => Arrival::Broadcast,
        };
        let class = if http { "HTTPClient" } else { "PXEClient" };
        let packet = Packet::new(kind, mac(number)).option(60, class.as_bytes()).option(93, &[0, arch]);
        let packet = options.iter().fold(packet, |packet, (code, data)| packet.option(*code, data));
        let packet = packet.set(8, &fields[..8]).client_address(Ipv4Addr::new(fields[8], fields[9], fields[10], fields[11]));

        for audience in [Audience::Known, Audience::Everybody] {
            let proxy = proxy(audience, machines(&[(1, Some(host(10)))]));
            let ProxyAction::Reply(reply) = handle(&proxy, &packet.bytes(), arrival) else { continue };
            let answer = Answer::of(*reply);

            prop_assert_eq!(answer.yours, NOWHERE);
            prop_assert_eq!(&answer.reply.commit, &None);
            prop_assert!([1, 3, 6, 51, 58, 59].iter().all(|code| answer.option(*code).is_none()), "{:?}", answer.codes());
            prop_assert!(answer.reply.message.len() <= 1500 - 28);
            let expected = match arrival {
                Arrival::Broadcast => Destination::Broadcast,
                Arrival::BootServer(sender) => Destination::Sender(sender),
            };
            prop_assert_eq!(answer.destination(), expected);
            prop_assert!(audience == Audience::Everybody || number == 1);
        }
    }

    #[test]
    fn random_bytes_have_no_answer_that_is_none(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let proxy = proxy(Audience::Everybody, Arc::default());
        if let Ok(request) = Request::parse(&bytes) {
            let _ = proxy.handle(&request, Arrival::Broadcast);
        }
    }
}

const NOWHERE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn told(audience: Audience) -> ProxyConfig {
    ProxyConfig { server: config().lab.network, classes: Vec::new(), audience, base: config().base }
}

fn proxy(audience: Audience, inventory: Arc<Inventory>) -> Proxy {
    Proxy::new(told(audience), inventory)
}

/// Machine 1 is of this kind, and there is no other.
fn known(arch: &str) -> Proxy {
    proxy(Audience::Known, inventory([(mac(1), None)], arch, &config()))
}

/// What a PXE client of this type asks (RFC 4578).
fn pxe(kind: u8, arch: u8) -> Packet {
    let uuid: Vec<u8> = (0..17).collect();
    Packet::new(kind, mac(1)).option(60, b"PXEClient:Arch").option(93, &[0, arch]).option(97, &uuid)
}

fn handle(proxy: &Proxy, datagram: &[u8], arrival: Arrival) -> ProxyAction {
    match Request::parse(datagram) {
        Ok(request) => proxy.handle(&request, arrival),
        Err(ignored) => ProxyAction::Ignore(ignored),
    }
}

fn answer(proxy: &Proxy, packet: &Packet, arrival: Arrival) -> Answer {
    match handle(proxy, &packet.bytes(), arrival) {
        ProxyAction::Reply(reply) => Answer::of(*reply),
        other => panic!("{packet:?} is not answered: {other:?}"),
    }
}

fn ignored(proxy: &Proxy, packet: &Packet, arrival: Arrival) -> Ignored {
    match handle(proxy, &packet.bytes(), arrival) {
        ProxyAction::Ignore(ignored) => ignored,
        other => panic!("{packet:?} is not ignored: {other:?}"),
    }
}

/// What is made of every packet of the capture, whose DHCPREQUESTs take up the offer of another server.
fn replay(arch: &str, capture: &[u8]) -> String {
    let packets = packets(capture);
    let sender: MacAddr = Request::parse(&packets[0].1).expect("a client's message").mac();
    let proxy = proxy(Audience::Known, inventory([(sender, None)], arch, &config()));
    let mut shown = String::new();
    let mut last = None;
    for (at, datagram) in packets {
        write!(shown, "{:.3} ", at.as_secs_f64()).expect("a string");
        match handle(&proxy, &datagram, Arrival::Broadcast) {
            ProxyAction::Reply(reply) => {
                let answer = Answer::of(*reply);
                let contents = answer.contents();
                writeln!(shown, "{answer}").expect("a string");
                let told = if last.as_ref() == Some(&contents) { "    the same\n" } else { &contents };
                shown.push_str(told);
                last = Some(contents);
            }
            ProxyAction::Heard(Heard { event, .. }) => {
                writeln!(shown, "heard {}", event.map(|(_, what)| format!("{what:?}")).unwrap_or_default())
                    .expect("a string");
            }
            ProxyAction::Ignore(ignored) => writeln!(shown, "ignored: {ignored}").expect("a string"),
        }
    }
    shown
}
