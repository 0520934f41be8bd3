//! What no client sends: whatever arrives, there is an answer that can be read, or a reason for none.

use dhcproto::v4::borrowed::Message;
use proptest::prelude::*;
use pxe_proto::dhcp::{Action, Config, Ignored, Request};

use crate::answer::Answer;
use crate::boots::packets;
use crate::classes::classes;
use crate::lan::{Lan, config, host, machines};
use crate::packet::{DISCOVER, Packet, mac};
use crate::relays::three;

#[test]
fn says_why_it_is_no_message_of_a_client() {
    let discover = || Packet::new(DISCOVER, mac(1));
    let reason = |packet: Packet| Request::parse(&packet.bytes()).expect_err("no client's message");

    assert_eq!(reason(discover().set(0, &[2])), Ignored::NotARequest(2));
    assert_eq!(reason(discover().set(2, &[200])), Ignored::HardwareAddressTooLong(200));
    assert_eq!(reason(discover().set(2, &[8])), Ignored::NotEthernet { hardware_type: 1, length: 8 });
    assert_eq!(reason(discover().set(1, &[32])), Ignored::NotEthernet { hardware_type: 32, length: 6 });
    assert_eq!(
        reason(discover().set(28, &[0xff; 6])),
        Ignored::NotOneInterface("ff:ff:ff:ff:ff:ff".parse().expect("a MAC"))
    );
    assert_eq!(
        reason(discover().set(28, &[0; 6])),
        Ignored::NotOneInterface("00:00:00:00:00:00".parse().expect("a MAC"))
    );
    assert_eq!(reason(discover().set(236, &[0; 4])), Ignored::NoCookie);
    assert_eq!(reason(discover().set(240, &[0; 3])), Ignored::NoMessageType);
    for not_for_servers in [0, 2, 5, 6, 9, 255] {
        assert_eq!(reason(Packet::new(not_for_servers, mac(1))), Ignored::NoMessageType);
    }
}

#[test]
fn an_option_that_runs_past_the_end_hides_only_what_follows_it() {
    let mut bytes = Packet::new(DISCOVER, mac(1)).option(60, b"PXEClient:Arch:00011").bytes();
    bytes.pop();
    bytes.extend([12, 200, b'a']);

    assert_eq!(Request::parse(&bytes).map(|request| request.firmware()), Ok(lab_model::Firmware::UefiArm64));
}

#[test]
fn every_reason_counts_under_a_name_of_its_own() {
    let reasons = [
        Ignored::TooShort(0),
        Ignored::NotARequest(2),
        Ignored::HardwareAddressTooLong(17),
        Ignored::NoCookie,
        Ignored::NotEthernet { hardware_type: 32, length: 20 },
        Ignored::NotOneInterface(mac(1)),
        Ignored::NoMessageType,
        Ignored::MalformedOption(50),
        Ignored::ForeignRelay(host(1)),
        Ignored::ForeignSubnet(host(1)),
        Ignored::ForeignClient(host(1)),
        Ignored::OtherServer(host(2)),
        Ignored::NoAddress,
        Ignored::UnknownClient(mac(1)),
        Ignored::NotTheirs(mac(1), host(100)),
        Ignored::NoPool(mac(1)),
        Ignored::PoolExhausted(mac(1)),
    ];

    let kinds: std::collections::BTreeSet<_> = reasons.iter().map(Ignored::kind).collect();

    assert_eq!(kinds.len(), reasons.len());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_is_ignored(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        check(&bytes)?;
    }

    #[test]
    fn noise_behind_a_good_header_harms_nobody(noise in prop::collection::vec(any::<u8>(), 0..1500), kind in 0_u8..10) {
        let mut bytes = Packet::new(kind, mac(1)).bytes();
        bytes.pop();
        bytes.extend(noise);
        check(&bytes)?;
    }

    #[test]
    fn any_options_get_an_answer_that_can_be_read(
        options in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)), 0..12),
        size in any::<u16>(),
        addresses in any::<[u8; 4]>(),
        kind in prop::sample::select(vec![1_u8, 3, 4, 7, 8]),
    ) {
        let mut packet = Packet::new(kind, mac(1)).option(57, &size.to_be_bytes());
        if addresses[0] & 1 == 1 {
            let network = 77 + (addresses[3] & 3);
            packet = packet.relay([10, network, 0, addresses[1]].into());
        }
        if addresses[0] & 2 == 2 {
            packet = packet.client_address(host(addresses[2]));
        }
        for (code, data) in options {
            packet = packet.option(code, &data);
        }
        check(&packet.bytes())?;
    }

    #[test]
    fn real_packets_with_wrong_bytes_harm_nobody(
        (which, at) in (0_usize..5, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20)),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut recorded = packets(include_bytes!("../captures/edk2-arm64-pxe.pcap"));
        let (_, mut bytes) = recorded.swap_remove(which);
        for (index, byte) in at {
            let position = index.index(bytes.len());
            bytes[position] = byte;
        }
        if cut {
            bytes.truncate(length.index(bytes.len()));
        }
        check(&bytes)?;
    }
}

/// Whatever the datagram says, however often and in any configuration: no panic, and an answer within its limits.
fn check(datagram: &[u8]) -> Result<(), TestCaseError> {
    check_with(config(), datagram)?;
    check_with(three(), datagram)?;
    check_with(classes(), datagram)
}

fn check_with(config: Config, datagram: &[u8]) -> Result<(), TestCaseError> {
    let mut lan = Lan::new(config, machines(&[(1, Some(host(10)))]));
    for _ in 0..2 {
        let Action::Reply(reply) = lan.send(datagram) else { continue };
        let answer = Answer::of(*reply);
        let length = answer.reply.message.len();
        prop_assert!((300..=1472).contains(&length), "{length} bytes");
        let behind: Vec<_> = Message::new(&answer.reply.message).expect("a message").opts().collect();
        let relayed = behind.iter().position(|option| u8::from(option.code()) == 82);
        prop_assert!(relayed.is_none_or(|at| at == behind.len() - 1), "{:?}", answer.codes());
        let codes: Vec<_> = answer.codes().into_iter().filter(|code| *code != 52).collect();
        prop_assert_eq!(codes[..2].to_vec(), vec![53, 54]);
        let without_relay = length - answer.option(82).map_or(0, |data| data.len() + 2 * data.len().div_ceil(255));
        let accepted = Message::new(datagram).expect("it was answered").opts();
        let accepted = accepted
            .filter(|option| u8::from(option.code()) == 57)
            .find_map(|option| Some(u16::from_be_bytes(option.data().try_into().ok()?)));
        let accepted = usize::from(accepted.unwrap_or_default().clamp(576, 1500)) - 28;
        prop_assert!(without_relay <= accepted.max(300), "{without_relay} of {accepted} bytes");
    }
    Ok(())
}
