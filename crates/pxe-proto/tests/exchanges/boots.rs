//! Whole boots of real firmware: what it sent is in `captures/`, with the times at which it did.

use std::fmt::Write;
use std::time::Duration;

use pcap_file::pcap::PcapReader;
use pxe_proto::dhcp::{Action, Request};

use crate::answer::Answer;
use crate::lan::{Lan, config, host, inventory};

#[test]
fn edk2_on_arm64_loads_ipxe_over_tftp() {
    insta::assert_snapshot!(replay("aarch64", include_bytes!("../captures/edk2-arm64-pxe.pcap")), @r#"
    0.000 discover from UefiArm64: offer 10.77.0.113 to everyone, 339 bytes, stage offer
        siaddr 10.77.0.1 file "ipxe-arm64.efi"
        54 10.77.0.1
        51 3600 s
        58 1800 s
        59 3150 s
        1 255.255.255.0
        67 ipxe-arm64.efi
        3 10.77.0.1
        66 10.77.0.1
        6 10.77.0.1
        12 m10
        15 pvmlab.local
        28 10.77.0.255
    3.526 request from UefiArm64: ack 10.77.0.113 to everyone, 339 bytes, stage address
        the same
    6.579 discover from Ipxe: offer 10.77.0.113 to everyone, 383 bytes, stage offer
        siaddr 10.77.0.1 file ""
        54 10.77.0.1
        51 3600 s
        58 1800 s
        59 3150 s
        1 255.255.255.0
        61 01 52 54 00 77 00 10
        67 http://10.77.0.1/ipxe?mac=52:54:00:77:00:10&arch=${buildarch}
        175 b0 01 01
        3 10.77.0.1
        6 10.77.0.1
        12 m10
        15 pvmlab.local
    7.575 discover from Ipxe: offer 10.77.0.113 to everyone, 383 bytes, stage offer
        the same
    9.572 request from Ipxe: ack 10.77.0.113 to everyone, 383 bytes, stage address
        the same
    "#);
}

#[test]
fn edk2_on_x86_64_loads_ipxe_over_tftp() {
    insta::assert_snapshot!(replay("x86_64", include_bytes!("../captures/edk2-x64-pxe.pcap")), @r#"
    0.000 discover from UefiX64: offer 10.77.0.129 to everyone, 340 bytes, stage offer
        siaddr 10.77.0.1 file "ipxe-x86_64.efi"
        54 10.77.0.1
        51 3600 s
        58 1800 s
        59 3150 s
        1 255.255.255.0
        67 ipxe-x86_64.efi
        3 10.77.0.1
        66 10.77.0.1
        6 10.77.0.1
        12 m20
        15 pvmlab.local
        28 10.77.0.255
    4.823 request from UefiX64: ack 10.77.0.129 to everyone, 340 bytes, stage address
        the same
    "#);
}

#[test]
fn edk2_on_arm64_loads_ipxe_over_http() {
    insta::assert_snapshot!(replay("aarch64", include_bytes!("../captures/edk2-arm64-http.pcap")), @r#"
    0.000 discover from HttpArm64: offer 10.77.0.113 to everyone, 362 bytes, stage offer
        siaddr 10.77.0.1 file ""
        54 10.77.0.1
        51 3600 s
        58 1800 s
        59 3150 s
        1 255.255.255.0
        60 HTTPClient
        67 http://10.77.0.1/boot/ipxe-arm64.efi
        3 10.77.0.1
        6 10.77.0.1
        12 m10
        15 pvmlab.local
        28 10.77.0.255
    3.817 request from HttpArm64: ack 10.77.0.113 to everyone, 362 bytes, stage address
        the same
    7.273 discover from Ipxe: offer 10.77.0.113 to everyone, 383 bytes, stage offer
        siaddr 10.77.0.1 file ""
        54 10.77.0.1
        51 3600 s
        58 1800 s
        59 3150 s
        1 255.255.255.0
        61 01 52 54 00 77 00 10
        67 http://10.77.0.1/ipxe?mac=52:54:00:77:00:10&arch=${buildarch}
        175 b0 01 01
        3 10.77.0.1
        6 10.77.0.1
        12 m10
        15 pvmlab.local
    8.266 discover from Ipxe: offer 10.77.0.113 to everyone, 383 bytes, stage offer
        the same
    10.267 request from Ipxe: ack 10.77.0.113 to everyone, 383 bytes, stage address
        the same
    "#);
}

#[test]
fn edk2_on_x86_64_loads_ipxe_over_http() {
    insta::assert_snapshot!(replay("x86_64", include_bytes!("../captures/edk2-x64-http.pcap")), @r#"
    0.000 discover from HttpX64: offer 10.77.0.129 to everyone, 363 bytes, stage offer
        siaddr 10.77.0.1 file ""
        54 10.77.0.1
        51 3600 s
        58 1800 s
        59 3150 s
        1 255.255.255.0
        60 HTTPClient
        67 http://10.77.0.1/boot/ipxe-x86_64.efi
        3 10.77.0.1
        6 10.77.0.1
        12 m20
        15 pvmlab.local
        28 10.77.0.255
    3.845 request from HttpX64: ack 10.77.0.129 to everyone, 363 bytes, stage address
        the same
    7.063 discover from Ipxe: offer 10.77.0.129 to everyone, 383 bytes, stage offer
        siaddr 10.77.0.1 file ""
        54 10.77.0.1
        51 3600 s
        58 1800 s
        59 3150 s
        1 255.255.255.0
        61 01 52 54 00 77 00 20
        67 http://10.77.0.1/ipxe?mac=52:54:00:77:00:20&arch=${buildarch}
        175 b0 01 01
        3 10.77.0.1
        6 10.77.0.1
        12 m20
        15 pvmlab.local
    8.194 discover from Ipxe: offer 10.77.0.129 to everyone, 383 bytes, stage offer
        the same
    10.409 request from Ipxe: ack 10.77.0.129 to everyone, 383 bytes, stage address
        the same
    "#);
}

#[test]
fn an_ipxe_option_rom_goes_straight_to_its_script() {
    insta::assert_snapshot!(replay("x86_64", include_bytes!("../captures/ipxe-rom-bios.pcap")), @r#"
    0.000 discover from Ipxe: offer 10.77.0.129 to 10.77.0.129 at 52:54:00:77:00:20, 383 bytes, stage offer
        siaddr 10.77.0.1 file ""
        54 10.77.0.1
        51 3600 s
        58 1800 s
        59 3150 s
        1 255.255.255.0
        61 01 52 54 00 77 00 20
        67 http://10.77.0.1/ipxe?mac=52:54:00:77:00:20&arch=${buildarch}
        175 b0 01 01
        3 10.77.0.1
        6 10.77.0.1
        12 m20
        15 pvmlab.local
    1.037 discover from Ipxe: offer 10.77.0.129 to 10.77.0.129 at 52:54:00:77:00:20, 383 bytes, stage offer
        the same
    3.069 request from Ipxe: ack 10.77.0.129 to 10.77.0.129 at 52:54:00:77:00:20, 383 bytes, stage address
        the same
    22.714 discover from Ipxe: offer 10.77.0.129 to everyone, 383 bytes, stage offer
        the same
    24.214 discover from Ipxe: offer 10.77.0.129 to everyone, 383 bytes, stage offer
        the same
    26.253 request from Ipxe: ack 10.77.0.129 to everyone, 383 bytes, stage address
        the same
    "#);
}

/// Every packet of the capture with its answer, on the clock of the capture. The machines have the addresses that they
/// had when they were recorded, because their DHCPREQUESTs name them.
fn replay(arch: &str, capture: &[u8]) -> String {
    let packets = packets(capture);
    let recorded = [("52:54:00:77:00:10", host(113)), ("52:54:00:77:00:20", host(129))];
    let sender = Request::parse(&packets[0].1).expect("a client's message").mac();
    let machines = recorded.map(|(mac, address)| (mac.parse().expect("a MAC address"), Some(address)));
    let machine = machines.into_iter().find(|(mac, _)| *mac == sender);
    let mut lan = Lan::new(config(), inventory(machine, arch, &config()));
    let mut shown = String::new();
    let mut last = None;
    let start = lan.now;
    for (at, datagram) in packets {
        lan.now = start + at;
        let request = Request::parse(&datagram).expect("a client's message");
        let kind = format!("{:?}", request.kind()).to_lowercase();
        let answer = match lan.send(&datagram) {
            Action::Reply(reply) => Answer::of(*reply),
            other => panic!("{request:?} is not answered: {other:?}"),
        };
        let contents = answer.contents();
        writeln!(shown, "{:.3} {kind} from {:?}: {answer}", at.as_secs_f64(), request.firmware()).expect("a string");
        if last.as_ref() == Some(&contents) {
            writeln!(shown, "    the same").expect("a string");
        } else {
            write!(shown, "{contents}").expect("a string");
        }
        last = Some(contents);
    }
    shown
}

/// The UDP payloads of a capture of Ethernet frames without IP options, with the time since the first.
pub(crate) fn packets(capture: &[u8]) -> Vec<(Duration, Vec<u8>)> {
    let mut reader = PcapReader::new(capture).expect("a capture");
    let mut packets = Vec::new();
    let mut first = None;
    while let Some(packet) = reader.next_packet() {
        let packet = packet.expect("a whole packet");
        let first = *first.get_or_insert(packet.timestamp);
        packets.push((packet.timestamp - first, packet.data[42..].to_vec()));
    }
    packets
}
