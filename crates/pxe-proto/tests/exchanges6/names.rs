//! Names that clients call themselves (RFC 4704).

use dhcproto::v6::OptionCode;
use pxe_proto::dhcp6::Config;

use crate::lan::{Lan, config, host, machines};
use crate::packet::{Packet, REQUEST};

#[test]
fn a_stranger_is_called_as_it_calls_itself_and_told_what_is_done_for_the_name() {
    for (names, said, answered) in [(true, 0, 3), (true, 1, 1), (false, 0, 4), (false, 1, 6)] {
        let mut lan = Lan::new(Config { names, ..config() }, machines(&[]));

        let answer = lan.answer(&named(said, b"\x06Laptop\x07example\0"));

        let told = format!("{:?}", answer.option(OptionCode::ClientFqdn));
        let expected = wire(answered, b"\x06laptop\x06pvmlab\x05local\0");
        assert!(told.contains(&format!("{expected:?}")), "{names} {said}: {told}");
        let name = lan.journal[0].hostname.as_ref().map(|name| name.to_string());
        assert_eq!(name.as_deref(), Some("laptop"), "it lasts as long as its lease");
    }
}

#[test]
fn who_wants_nothing_done_for_its_name_has_none() {
    let mut lan = Lan::new(config(), machines(&[]));

    let answer = lan.answer(&named(4, b"\x06laptop\0"));

    assert_eq!((answer.option(OptionCode::ClientFqdn), &lan.journal[0].hostname), (None, &None));
}

#[test]
fn what_is_no_name_is_none_and_a_definition_counts_more() {
    for bad in [&b""[..], b"\0", b"\x0alaptop", b"\x03a b\0", b"\x06la"] {
        let mut lan = Lan::new(config(), machines(&[]));
        lan.answer(&named(1, bad));
        assert_eq!(lan.journal[0].hostname, None, "{bad:?}");
    }
    let mut lan = Lan::new(config(), machines(&[(1, Some(host(0x10)))]));

    let told = format!("{:?}", lan.answer(&named(1, b"\x06laptop\0")).option(OptionCode::ClientFqdn));

    assert!(told.contains(&format!("{:?}", wire(1, b"\x02m1\x06pvmlab\x05local\0"))), "{told}");
}

/// The machine with number 1, which asks for an address and says its name with these flags.
fn named(flags: u8, name: &[u8]) -> Packet {
    Packet::new(REQUEST, 1).for_us().association(1, &[]).option(39, &wire(flags, name))
}

fn wire(flags: u8, name: &[u8]) -> Vec<u8> {
    [&[flags][..], name].concat()
}
