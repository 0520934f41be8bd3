//! Clients that send whatever they like.

use std::time::Duration;

use proptest::prelude::*;
use pxe_proto::tftp::{Action, Admission, Limits, Packet, Transfer, admit};

use crate::network::epoch;

/// One thing that a hostile client, or time, does.
#[derive(Clone, Debug)]
enum Move {
    Octets(Vec<u8>),
    Acknowledge(u16),
    AcknowledgeNext(u16),
    AskAgain,
    Wait(u64),
    UntilTimeout,
}

proptest! {
    #[test]
    fn no_octets_on_the_listening_port_do_harm(octets in prop::collection::vec(any::<u8>(), 0..700)) {
        let _ = admit(&octets);
        let _ = admit(&[b"\0\x01", &octets[..]].concat());
        let _ = admit(&[b"\0\x01name\0octet\0", &octets[..]].concat());
    }

    /// Each thing that happens sends at most a window, and before the client has shown that it exists, one packet.
    #[test]
    fn no_client_gets_more_than_a_window_for_anything_it_does(
        length in 0_usize..5000,
        options in options(),
        moves in prop::collection::vec(one_move(), 0..300),
    ) {
        let Admission::Read(request) = admit(&[b"\0\x01file\0octet\0", options.as_bytes()].concat()) else {
            panic!("a read request");
        };
        let mut now = epoch();
        let mut transfer = Transfer::start(request.clone(), vec![0; length], Limits::default(), now);
        let mut last_sent = 0;
        let mut answered = false;
        prop_assert_eq!(drain(&mut transfer, &mut last_sent), 1);

        for step in moves {
            let may_answer = matches!(step, Move::Octets(_) | Move::Acknowledge(_) | Move::AcknowledgeNext(_));
            let action = match step {
                Move::Octets(octets) => transfer.handle(&octets, now),
                Move::Acknowledge(block) => transfer.handle(&ack(block), now),
                Move::AcknowledgeNext(back) => transfer.handle(&ack(last_sent.wrapping_sub(back)), now),
                Move::AskAgain => transfer.handle_request(&request, now),
                Move::Wait(milliseconds) => {
                    now += Duration::from_millis(milliseconds);
                    continue;
                }
                Move::UntilTimeout => {
                    now = now.max(transfer.poll_timeout());
                    let action = transfer.handle_timeout(now);
                    prop_assert!(matches!(action, Action::End(_)) || transfer.poll_timeout() > now);
                    action
                }
            };
            answered |= may_answer && action == Action::Send;
            let most = if answered { u64::from(transfer.progress(now).window) } else { 1 };
            let sent = drain(&mut transfer, &mut last_sent);
            match action {
                Action::Send => prop_assert!((1..=most).contains(&sent)),
                Action::Ignore(_) => prop_assert_eq!(sent, 0),
                Action::End(_) => {
                    prop_assert_eq!(sent, 0);
                    return Ok(());
                }
            }
        }
        prop_assert!(transfer.progress(now).bytes <= length as u64);
    }
}

fn drain(transfer: &mut Transfer<Vec<u8>>, last_sent: &mut u16) -> u64 {
    let mut packet = Vec::new();
    let mut sent = 0;
    while transfer.next_packet(&mut packet) {
        sent += 1;
        *last_sent = match Packet::parse(&packet).expect("what we send can be read") {
            Packet::Data { block, .. } => block,
            _ => 0,
        };
        assert!(packet.len() <= 1472 && sent <= 64);
    }
    sent
}

fn ack(block: u16) -> Vec<u8> {
    let mut datagram = Vec::new();
    Packet::Ack { block }.write(&mut datagram);
    datagram
}

fn options() -> impl Strategy<Value = String> {
    let value = prop_oneof![Just("0".to_owned()), Just("8".to_owned()), Just("65535".to_owned()), "[0-9a-z-]{0,8}"];
    let name = prop::sample::select(vec!["blksize", "tsize", "timeout", "windowsize", "x"]);
    prop::collection::vec((name, value), 0..6)
        .prop_map(|options| options.iter().map(|(name, value)| format!("{name}\0{value}\0")).collect())
}

fn one_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        2 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Move::Octets),
        2 => any::<u16>().prop_map(Move::Acknowledge),
        6 => (0_u16..5).prop_map(Move::AcknowledgeNext),
        2 => Just(Move::AskAgain),
        2 => (0_u64..5000).prop_map(Move::Wait),
        2 => Just(Move::UntilTimeout),
    ]
}
