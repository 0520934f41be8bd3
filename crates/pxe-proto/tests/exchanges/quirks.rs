//! Firmware with faults: what is said to it otherwise than to others, by DHCP and then by TFTP.

use std::time::Instant;

use lab_model::MacAddr;
use pxe_proto::dhcp::{Class, ClassBoot, Request, Selector};
use pxe_proto::firmware::{KNOWN_QUIRKS, Quirk, Quirks, Treatment};
use pxe_proto::tftp::{Admission, Limits, Packet as Tftp, Transfer, admit};

use crate::answer::Answer;
use crate::classes::patterns;
use crate::lan::{Lan, config, host, inventory, machines};
use crate::packet::{DISCOVER, Packet, mac};

#[test]
fn a_raspberry_pi_is_told_the_words_that_it_waits_for() {
    for prefix in KNOWN_QUIRKS.iter().find(|quirk| quirk.name == "raspberry-pi").expect("a quirk").mac {
        let [a, b, c] = *prefix;
        let pi = MacAddr::new([a, b, c, 0, 0, 1]);

        let offer = offer(pi, &Quirks::default(), &discover(pi, "PXEClient:Arch:00000:UNDI:002001"));

        let words = b"\x06\x01\x03\x0a\x04\x00PXE\x09\x17\x00\x00\x14Raspberry Pi Boot   \xff";
        assert_eq!(offer.option(43), Some(&words[..]), "{pi}");
        assert_eq!((offer.option(60), offer.option(66)), (Some(&b"PXEClient"[..]), Some(&b"10.77.0.1"[..])));
    }
}

#[test]
fn a_raspberry_pi_finds_its_files_where_its_class_says() {
    let pi = MacAddr::new([0xb8, 0x27, 0xeb, 0, 0, 1]);
    let mut config = config();
    config.classes = vec![Class {
        members: Selector { mac: Some(vec!["b8:27:eb".to_owned()]), ..Selector::default() },
        boot: Some(ClassBoot::File { name: "bootcode.bin".to_owned(), server: Some(host(9)) }),
        ..Class::default()
    }];
    let mut lan = Lan::new(config, machines(&[]));

    let packet = discover(pi, "PXEClient:Arch:00000:UNDI:002001");
    let offer = lan.answer_to(&treated(&packet, &Quirks::default()));

    assert_eq!((offer.next_server, offer.option(66)), (host(9), Some(&b"10.77.0.9"[..])));
    assert!(offer.option(43).is_some());
}

#[test]
fn a_bios_of_anybody_else_is_told_nothing_of_a_raspberry_pi() {
    let offer = offer(mac(1), &Quirks::default(), &discover(mac(1), "PXEClient:Arch:00000:UNDI:002001"));

    assert_eq!((offer.option(43), offer.option(60)), (None, None));
}

#[test]
fn what_cannot_put_fragments_together_gets_none_whatever_is_allowed_to_others() {
    for (vendor_class, quirk) in [
        ("PXEClient:Arch:00000:UNDI:002001", Some("pxe-rom")),
        ("PXEClient:Arch:00007:UNDI:003016", Some("uefi")),
        ("PXEClient:Arch:00009:UNDI:003016", Some("uefi")),
        ("PXEClient:Arch:00011:UNDI:003000", Some("uefi")),
        ("U-Boot.armv8", Some("u-boot")),
        ("U-boot.armv7", Some("u-boot")),
        ("MSFT 5.0", None),
    ] {
        let request = Request::parse(&discover(mac(1), vendor_class).bytes()).expect("a request");

        let quirks = Quirks::default();
        let found = quirks.of(&request);

        assert_eq!(found.map(|(name, _)| name), quirk, "{vendor_class}");
        let treatment = found.map(|(_, treatment)| treatment).unwrap_or_default();
        let most = if quirk.is_some() { "1468" } else { "8192" };
        assert_eq!(granted(treatment), format!("blksize={most} windowsize=4"), "{vendor_class}");
    }
}

#[test]
fn ipxe_has_none_of_the_faults_of_the_firmware_that_started_it() {
    let packet = discover(mac(1), "PXEClient:Arch:00000:UNDI:002001").option(77, b"iPXE");
    let request = Request::parse(&packet.bytes()).expect("a request");

    assert_eq!(Quirks::default().of(&request), None);
}

#[test]
fn the_owners_own_come_before_all_others() {
    let own = |treatment| {
        let members = Selector {
            vendor_class: patterns("'PXEClient:Arch:00007:*'"),
            mac: Some(vec!["52:54:00".to_owned()]),
            arch: Some(vec![7]),
            ..Selector::default()
        };
        Quirks::new(vec![Quirk { name: "mine".to_owned(), members, treatment }])
    };
    let packet = discover(mac(1), "PXEClient:Arch:00007:UNDI:003016").option(93, &[0, 7]);
    let request = Request::parse(&packet.bytes()).expect("a request");

    let gentle = Treatment { block_size: Some(512), window: Some(1), ..Treatment::default() };
    assert_eq!(own(gentle).of(&request), Some(("mine", gentle)));
    assert_eq!(granted(gentle), "", "as RFC 1350 has it");
    assert_eq!(own(Treatment::default()).of(&request), Some(("mine", Treatment::default())));
    let other = discover(MacAddr::new([2, 0, 0, 0, 0, 1]), "PXEClient:Arch:00007:UNDI:003016").option(93, &[0, 7]);
    let other = Request::parse(&other.bytes()).expect("a request");
    assert_eq!(own(gentle).of(&other).map(|(name, _)| name.to_owned()).as_deref(), Some("uefi"));
}

#[test]
fn http_boot_that_is_taken_from_a_machine_leaves_it_an_address() {
    let no_url = Treatment { no_http_boot: true, ..Treatment::default() };
    let mut lan = lan(mac(1));
    let mut request =
        Request::parse(&discover(mac(1), "HTTPClient:Arch:00016:UNDI:003016").bytes()).expect("a request");

    let with = lan.answer_to(&request);
    request.treat(no_url);
    let without = lan.answer_to(&request);

    assert_eq!(with.option(60), Some(&b"HTTPClient"[..]));
    assert_eq!((without.yours, without.option(60), without.option(67)), (with.yours, None, None));
}

fn discover(mac: MacAddr, vendor_class: &str) -> Packet {
    Packet::new(DISCOVER, mac).option(60, vendor_class.as_bytes())
}

/// The offer to a machine with this firmware.
fn offer(mac: MacAddr, quirks: &Quirks, packet: &Packet) -> Answer {
    lan(mac).answer_to(&treated(packet, quirks))
}

/// A network with this machine.
fn lan(mac: MacAddr) -> Lan {
    let config = config();
    let machines = inventory([(mac, None)], "x86_64", &config);
    Lan::new(config, machines)
}

fn treated(packet: &Packet, quirks: &Quirks) -> Request {
    let mut request = Request::parse(&packet.bytes()).expect("a request");
    let treatment = quirks.of(&request).map(|(_, treatment)| treatment).unwrap_or_default();
    request.treat(treatment);
    request
}

/// What is granted of blocks of 8192 bytes in windows of four, where the configuration allows both.
fn granted(treatment: Treatment) -> String {
    let request = b"\0\x01file\0octet\0blksize\x008192\0windowsize\x004\0";
    let Admission::Read(request) = admit(request) else { panic!("a read request") };
    let limits = treatment.limits(Limits { block_size: u16::MAX, window: 64 });
    let mut transfer = Transfer::start(request, vec![0; 10_000], limits, now());
    let mut packet = Vec::new();
    assert!(transfer.next_packet(&mut packet));
    match Tftp::parse(&packet) {
        Ok(Tftp::OptionAck(options)) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let all = options.iter().map(|(name, value)| format!("{}={}", text(name), text(value)));
            all.collect::<Vec<_>>().join(" ")
        }
        Ok(Tftp::Data { block: 1, payload }) if payload.len() == 512 => String::new(),
        other => panic!("{other:?}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "an instant comes from nowhere else, and this one means nothing")]
fn now() -> Instant {
    Instant::now()
}
