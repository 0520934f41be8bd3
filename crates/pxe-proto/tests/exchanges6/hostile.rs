//! Packets that no client sends.

use std::net::Ipv6Addr;

use proptest::prelude::*;
use pxe_proto::dhcp6::{Action, Ignored, Request};

use crate::answer::Answer;
use crate::lan::{Lan, config, host, machines};
use crate::packet::{CONFIRM, INFORMATION, Packet, RENEW, REQUEST, SOLICIT, option};

#[test]
fn what_is_no_clients_message_is_ignored() {
    let mut lan = Lan::new(config(), machines(&[]));
    let anybody = Ipv6Addr::LOCALHOST;
    let long_duid = [0; 131];

    for (packet, reason) in [
        (Packet { bytes: vec![], sender: anybody }, Ignored::TooShort(0)),
        (Packet { bytes: vec![1, 2, 3], sender: anybody }, Ignored::TooShort(3)),
        (Packet { bytes: vec![1; 4097], sender: anybody }, Ignored::TooLong(4097)),
        (Packet { bytes: vec![12; 20], sender: anybody }, Ignored::TooShort(20)),
        (Packet { bytes: vec![12; 34], sender: anybody }, Ignored::MalformedOption(9)),
        (Packet::new(2, 1), Ignored::NotForServers(2)),
        (Packet::new(13, 1), Ignored::NotForServers(13)),
        (Packet::of(SOLICIT, anybody), Ignored::NoClient),
        (Packet::of(SOLICIT, anybody).option(1, &[]), Ignored::MalformedOption(1)),
        (Packet::of(SOLICIT, anybody).option(1, &long_duid), Ignored::MalformedOption(1)),
        (Packet::new(SOLICIT, 1).for_us().association(1, &[]), Ignored::NeedlessServer),
        (Packet::new(CONFIRM, 1).for_us(), Ignored::NeedlessServer),
        (Packet::new(REQUEST, 1).association(1, &[]), Ignored::NoServer),
        (Packet::new(RENEW, 1).for_us(), Ignored::NoAddress),
        (Packet::new(SOLICIT, 1), Ignored::NoAddress),
        (Packet::new(SOLICIT, 1).option(3, &[0; 11]), Ignored::MalformedOption(3)),
        (
            Packet::new(SOLICIT, 1).option(3, &[&[0; 12][..], &option(5, &[0; 23])].concat()),
            Ignored::MalformedOption(5),
        ),
        (Packet::new(INFORMATION, 1).option(2, &[9]), Ignored::OtherServer),
    ] {
        assert_eq!(lan.ignored(&packet), reason, "{packet:?}");
    }
}

/// The decoder that IPv4's messages are read with would recur until the stack is gone.
#[test]
fn nesting_costs_nothing() {
    let mut lan = Lan::new(config(), machines(&[]));
    let deep = (0..250).fold(Vec::new(), |inner, _| option(3, &[&[0; 12][..], &inner].concat()));
    let wide = (0..200).fold(Packet::new(SOLICIT, 1), |packet, id| packet.association(id, &[]));

    assert!(matches!(
        lan.send(&Packet { bytes: [&[SOLICIT, 0, 0, 0][..], &deep].concat(), ..wide.clone() }),
        Action::Ignore(_)
    ));
    let Action::Reply(reply) = lan.send(&wide) else { panic!("answered") };

    assert!(reply.message.len() < 1000, "{}", reply.message.len());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_harm_nobody(bytes in prop::collection::vec(any::<u8>(), 0..600), sender in any::<[u8; 16]>()) {
        let _ = Request::parse(&bytes, sender.into());
    }

    #[test]
    fn good_packets_with_wrong_bytes_are_answered_well_or_not_at_all(
        kind in prop::sample::select(vec![1_u8, 3, 4, 5, 6, 8, 9, 11]),
        relays in 0_u8..4,
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut packet = Packet::new(kind, 1).firmware("PXEClient:Arch:00007:UNDI:003000", 7).association(1, &[host(0x100)]);
        if matches!(kind, 3 | 5 | 8 | 9) {
            packet = packet.for_us();
        }
        for hops in 0..relays {
            packet = packet.relayed(host(2), hops, &[(18, b"port")]);
        }
        for (index, byte) in wrong {
            let at = index.index(packet.bytes.len());
            packet.bytes[at] = byte;
        }
        if let Some(cut) = cut {
            packet.bytes.truncate(cut.index(packet.bytes.len()));
        }
        let mut lan = Lan::new(config(), machines(&[(1, Some(host(0x10)))]));

        for _ in 0..2 {
            let Action::Reply(reply) = lan.send(&packet) else { continue };
            prop_assert!(reply.message.len() <= 2048, "{}", reply.message.len());
            if reply.message[0] != 13 {
                let answer = Answer::of(*reply);
                prop_assert!(answer.addresses().iter().filter(|(_, seconds)| *seconds > 0).count() <= 1);
            }
        }
    }
}
