//! TFTP: a request, and a transfer to a client that does what it likes.

use std::time::{Duration, Instant};

use pxe_proto::tftp::{Action, Admission, Limits, Packet, Transfer, admit};

use super::lab::epoch;
use super::steps::{Step, steps};

/// The first step is what comes in on the listening port; if that is a request, its `what` says how long the file is. Each
/// other step is a datagram, an acknowledgement of what was sent last, the same request again, or time.
pub fn run(input: &[u8]) {
    let mut steps = steps(input);
    let Some(first) = steps.next() else { return };
    let request = match admit(first.bytes) {
        Admission::Read(request) => request,
        Admission::Refuse(refusal) => {
            let mut answer = Vec::new();
            refusal.write(&mut answer);
            assert!(Packet::parse(&answer).is_ok() && answer.len() <= 516, "{answer:?}");
            return;
        }
        Admission::Ignore(_) => return,
    };
    let file = vec![7; usize::from(first.what) * 100];
    let mut now = epoch();
    let mut transfer = Transfer::start(request.clone(), file, Limits::default(), now);
    let mut last_sent = 0;
    assert_eq!(drain(&mut transfer, &mut last_sent), 1);
    for Step { what, bytes } in steps {
        let action = match what & 7 {
            0 => transfer.handle(bytes, now),
            1..=3 => transfer.handle(&[0, 4, (last_sent >> 8) as u8, last_sent as u8], now),
            4 => transfer.handle_request(&request, now),
            5 => time_out(&mut transfer, &mut now),
            6 => {
                now += Duration::from_millis(u64::from(what) * 4);
                continue;
            }
            _ => transfer.handle(&[0, 4, what, bytes.first().copied().unwrap_or_default()], now),
        };
        // RFC 7440 §4: no more than a window for anything that happens.
        let most = if action == Action::Send { u64::from(transfer.progress(now).window) } else { 0 };
        let sent = drain(&mut transfer, &mut last_sent);
        assert!(sent <= most, "{sent} packets for {action:?}");
        if matches!(action, Action::End(_)) {
            return;
        }
    }
}

fn time_out(transfer: &mut Transfer<Vec<u8>>, now: &mut Instant) -> Action {
    *now = (*now).max(transfer.poll_timeout());
    let action = transfer.handle_timeout(*now);
    assert!(matches!(action, Action::End(_)) || transfer.poll_timeout() > *now);
    action
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
