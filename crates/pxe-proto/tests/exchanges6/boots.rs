//! What each kind of firmware is told.

use dhcproto::v6::{DhcpOption, OptionCode};

use crate::lan::{Lan, config, host, machines};
use crate::packet::{INFORMATION, Packet, REQUEST, SOLICIT};

#[test]
fn a_pxe_boot_over_ipv6_is_told_in_two_answers() {
    let mut lan = Lan::new(config(), machines(&[(1, Some(host(0x10)))]));
    let says = |kind| Packet::new(kind, 1).option(6, &[0, 59, 0, 60, 0, 39]).firmware(PXE, 7);

    let offer = lan.answer(&says(SOLICIT).association(7, &[]));
    let reply = lan.answer(&says(REQUEST).for_us().association(7, &[host(0x10)]));

    insta::assert_snapshot!(format!("{offer}{reply}"));
    assert_eq!(lan.journal.len(), 1);
}

#[test]
fn an_http_boot_is_told_of_it_by_the_vendor_class() {
    let mut lan = Lan::new(config(), machines(&[(1, None)]));

    let offer = lan.answer(&Packet::new(SOLICIT, 1).firmware(HTTP, 16).association(7, &[]));

    assert_eq!(offer.boot_file().as_deref(), Some("http://[fd00:77::1]/boot/ipxe-x86_64.efi"));
    let Some(DhcpOption::VendorClass(class)) = offer.option(OptionCode::VendorClass) else { panic!("{offer}") };
    assert_eq!((class.num, &class.data[..]), (343, &[b"HTTPClient".to_vec()][..]));
}

#[test]
fn every_kind_of_firmware_gets_what_it_can_use() {
    let mut lan = Lan::new(config(), machines(&[(1, None)]));
    let mut told = |class: &str, architecture| {
        lan.answer(&Packet::new(SOLICIT, 1).firmware(class, architecture).association(7, &[])).boot_file()
    };

    assert_eq!(told(PXE, 7).as_deref(), Some("tftp://[fd00:77::1]/ipxe-x86_64.efi"));
    assert_eq!(told(PXE, 11).as_deref(), Some("tftp://[fd00:77::1]/ipxe-arm64.efi"));
    assert_eq!(told(HTTP, 19).as_deref(), Some("http://[fd00:77::1]/boot/ipxe-arm64.efi"));
    assert_eq!(told("PXEClient", 6), None);
    assert_eq!(told("dhcpcd", 7), None);
}

#[test]
fn ipxe_gets_its_script() {
    let mut lan = Lan::new(config(), machines(&[(1, None)]));

    let offer = lan.answer(&Packet::new(SOLICIT, 1).firmware(PXE, 7).option(15, b"\0\x04iPXE").association(7, &[]));

    let script = "http://[fd00:77::1]/ipxe?mac=52:54:00:00:00:01&arch=${buildarch}";
    assert_eq!(offer.boot_file().as_deref(), Some(script));
}

#[test]
fn who_has_an_address_already_is_told_the_rest() {
    let mut lan = Lan::new(config(), machines(&[]));

    let answer = lan.answer(&Packet::of(INFORMATION, "fe80::1".parse().unwrap()).option(6, &[0, 23]));

    insta::assert_snapshot!(answer);
    assert_eq!((answer.reply.commit, answer.reply.event.clone()), (None, None));
}

#[test]
fn something_follows_the_url_because_edk2_reads_on_to_a_zero() {
    let mut lan = Lan::new(config(), machines(&[(1, None)]));

    let offer = lan.answer(&Packet::new(SOLICIT, 1).firmware(PXE, 7).association(7, &[]));

    let url = b"ipxe-x86_64.efi";
    let end = offer.reply.message.windows(url.len()).position(|window| window == url).expect("the URL") + url.len();
    assert_eq!(offer.reply.message.get(end), Some(&0));
}

const PXE: &str = "PXEClient:Arch:00007:UNDI:003000";
const HTTP: &str = "HTTPClient:Arch:00016:UNDI:003000";
