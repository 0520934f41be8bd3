//! Exchanges packet by packet, on a clock that the tests move.

use std::time::{Duration, Instant};

use super::super::{Admission, admit};
use super::*;

#[test]
fn sends_block_by_block_without_options() {
    let mut server = Server::asked(b"", 1100);
    assert_eq!(server.sent(), ["DATA 1 512"]);
    assert_eq!(server.ack(1), Action::Send);
    assert_eq!(server.sent(), ["DATA 2 512"]);
    assert_eq!(server.ack(2), Action::Send);
    assert_eq!(server.sent(), ["DATA 3 76"]);
    assert_eq!(server.ack(3), Action::End(Outcome::Finished));
    assert_eq!(server.transfer.progress(server.now).bytes, 1100);
}

#[test]
fn an_empty_block_ends_a_file_that_fills_its_blocks() {
    let mut server = Server::asked(b"", 512);
    assert_eq!(server.sent(), ["DATA 1 512"]);
    server.ack(1);
    assert_eq!(server.sent(), ["DATA 2 0"]);
    assert_eq!(server.ack(2), Action::End(Outcome::Finished));

    let mut server = Server::asked(b"", 0);
    assert_eq!(server.sent(), ["DATA 1 0"]);
    assert_eq!(server.ack(1), Action::End(Outcome::Finished));
}

#[test]
fn sends_window_by_window_once_the_options_are_acknowledged() {
    let mut server = Server::asked(b"blksize\x00100\0windowsize\x003\0tsize\x000\0", 450);
    assert_eq!(server.sent(), ["OACK blksize=100 tsize=450 windowsize=3"]);
    server.ack(0);
    assert_eq!(server.sent(), ["DATA 1 100", "DATA 2 100", "DATA 3 100"]);
    server.ack(3);
    assert_eq!(server.sent(), ["DATA 4 100", "DATA 5 50"]);
    assert_eq!(server.ack(5), Action::End(Outcome::Finished));
    assert_eq!(server.transfer.progress(server.now).retransmitted, 0);
}

#[test]
fn a_gap_in_a_window_is_filled_from_where_it_begins() {
    let mut server = Server::in_window_of_four();

    assert_eq!(server.ack(2), Action::Send);
    assert_eq!(server.sent(), ["DATA 3 8", "DATA 4 8", "DATA 5 8", "DATA 6 8"]);

    assert_eq!(server.transfer.progress(server.now).retransmitted, 2);
}

#[test]
fn a_duplicate_acknowledgement_sends_nothing() {
    let mut server = Server::in_window_of_four();

    assert_eq!(server.ack(0), Action::Ignore(Stray::Duplicate));
    assert_eq!(server.ack(4), Action::Send);
    assert_eq!(server.sent(), ["DATA 5 8", "DATA 6 8", "DATA 7 8", "DATA 8 8"]);
    for _ in 0..1000 {
        assert_eq!(server.ack(4), Action::Ignore(Stray::Duplicate));
    }
    assert!(server.sent().is_empty());
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_or_is_long_past_changes_nothing() {
    let mut server = Server::in_window_of_four();
    server.ack(4);
    server.sent();

    for block in [0, 1, 3, 9, 100, 0x7fff, 0x8000, 0xffff] {
        assert_eq!(server.ack(block), Action::Ignore(Stray::OutsideWindow), "{block}");
    }
    assert!(server.sent().is_empty());
}

#[test]
fn a_late_acknowledgement_spares_what_was_about_to_be_sent_again() {
    let mut server = Server::in_window_of_four();
    server.time_out();
    assert!(server.transfer.next_packet(&mut Vec::new()));

    assert_eq!(server.ack(4), Action::Send);

    assert_eq!(server.sent(), ["DATA 5 8", "DATA 6 8", "DATA 7 8", "DATA 8 8"]);
    assert_eq!(server.transfer.progress(server.now).retransmitted, 1);
}

#[test]
fn packets_that_go_out_together_are_those_that_would_go_out_one_by_one() {
    for (packets, octets, bursts) in
        [(64, 1000, vec![4]), (3, 1000, vec![3, 1]), (64, 30, vec![2, 2]), (0, 0, vec![1; 4])]
    {
        let mut server = Server::asked(b"blksize\x008\0windowsize\x004\0", 29);
        assert_eq!(server.sent(), ["OACK blksize=8 windowsize=4"]);
        server.ack(0);
        let (mut buffer, mut together, mut sent) = (Vec::new(), Vec::new(), Vec::new());

        while let Some(each) = server.transfer.next_packets(Burst { packets, octets }, &mut buffer) {
            together.push(buffer.chunks(each).len());
            sent.extend(buffer.chunks(each).map(in_words));
        }

        assert_eq!(sent, ["DATA 1 8", "DATA 2 8", "DATA 3 8", "DATA 4 5"]);
        assert_eq!(together, bursts);
        assert_eq!(buffer, b"");
        server.time_out();
        server.sent();
        assert_eq!(server.transfer.progress(server.now).retransmitted, 4);
    }
}

#[test]
fn block_numbers_go_on_from_zero_after_65535() {
    let mut server = Server::asked(b"blksize\x008\0windowsize\x004\0", 8 * 65_540);
    server.sent();
    server.ack(0);
    for block in (4..=65_532).step_by(4) {
        server.sent();
        assert_eq!(server.ack(block), Action::Send);
    }
    assert_eq!(server.sent(), ["DATA 65533 8", "DATA 65534 8", "DATA 65535 8", "DATA 0 8"]);
    server.ack(65_535);
    assert_eq!(server.sent(), ["DATA 0 8", "DATA 1 8", "DATA 2 8", "DATA 3 8"]);
    server.ack(3);
    assert_eq!(server.sent(), ["DATA 4 8", "DATA 5 0"]);
    assert_eq!(server.ack(5), Action::End(Outcome::Finished));
}

#[test]
fn a_client_that_asked_for_the_size_and_stops_has_what_it_wanted() {
    for error in [b"\0\x05\0\x08User aborted the transfer\0".as_slice(), b"\0\x05\0\0TFTP Aborted", b"\0\x05\0\0"] {
        let mut server = Server::asked(b"tsize\x000\0blksize\x001468\0windowsize\x004\0", 1_011_712);
        assert_eq!(server.sent(), ["OACK blksize=1468 tsize=1011712 windowsize=4"]);

        assert_eq!(server.receive(error), Action::End(Outcome::Probed));
        assert!(server.sent().is_empty());
    }
}

#[test]
fn a_client_that_stops_otherwise_says_why() {
    let code = ErrorCode(3);
    let aborted = Action::End(Outcome::Aborted { code, message: "disk full\\n".to_owned() });

    let mut server = Server::in_window_of_four();
    assert_eq!(server.receive(b"\0\x05\0\x03disk full\n\0"), aborted);

    let mut server = Server::asked(b"blksize\x008\0", 100);
    assert_eq!(server.receive(b"\0\x05\0\x03disk full\n\0"), aborted);
}

#[test]
fn a_stranger_gets_one_packet_and_three_copies() {
    for (options, first) in
        [(b"".as_slice(), "DATA 1 512"), (b"windowsize\x0064\0blksize\x001468\0", "OACK blksize=1468 windowsize=64")]
    {
        let mut server = Server::asked(options, 1_000_000);
        let mut sent = vec![(0, server.sent())];

        let end = loop {
            match server.time_out() {
                Action::Send => sent.push((server.elapsed(), server.sent())),
                end => break end,
            }
        };

        let first = vec![first.to_owned()];
        assert_eq!(sent, [0, 1000, 3000, 7000].map(|at| (at, first.clone())));
        assert_eq!((server.elapsed(), end), (10_000, Action::End(Outcome::TimedOut)));
    }
}

#[test]
fn sends_again_soon_once_it_knows_how_fast_the_client_answers() {
    let mut server = Server::asked(b"blksize\x008\0windowsize\x002\0", 100);
    server.sent();
    server.wait(2);
    server.ack(0);
    server.sent();

    let mut waits = Vec::new();
    let end = loop {
        let before = server.elapsed();
        let action = server.time_out();
        waits.push(server.elapsed() - before);
        match action {
            Action::Send => assert_eq!(server.sent(), ["DATA 1 8", "DATA 2 8"]),
            end => break end,
        }
    };

    assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 3200, 4000, 4000, 4000, 4000, 4000, 3650]);
    assert_eq!((waits.iter().sum(), end), (30_000, Action::End(Outcome::TimedOut)));
}

#[test]
fn learns_nothing_from_packets_that_were_sent_twice() {
    let mut server = Server::in_window_of_four();
    server.time_out();
    server.sent();

    server.wait(1);
    server.ack(4);

    assert_eq!(server.transfer.poll_timeout() - server.now, Duration::from_millis(100), "still backed off");
    server.sent();
    server.wait(1);
    server.ack(8);
    assert_eq!(server.transfer.poll_timeout() - server.now, Duration::from_millis(50), "measured anew");
}

#[test]
fn a_timeout_before_its_time_sends_nothing() {
    let mut server = Server::in_window_of_four();
    assert_eq!(server.transfer.handle_timeout(server.now), Action::Ignore(Stray::Early));
    assert!(server.sent().is_empty());
}

#[test]
fn waits_as_long_as_the_client_asked_it_to() {
    let mut server = Server::asked(b"timeout\x003\0", 100);
    assert_eq!(server.sent(), ["OACK timeout=3"]);
    server.wait(1);
    server.ack(0);
    for _ in 0..3 {
        server.sent();
        assert_eq!(server.transfer.poll_timeout() - server.now, Duration::from_secs(3));
        server.time_out();
    }

    let mut server = Server::asked(b"timeout\x00255\0", 100);
    server.sent();
    server.ack(0);
    let mut timeouts = 1;
    while server.time_out() == Action::Send {
        timeouts += 1;
    }
    assert_eq!((timeouts, server.elapsed()), (3, 765_000));
}

#[test]
fn the_same_request_again_gets_the_same_packet_from_the_same_transfer() {
    let mut server = Server::asked(b"tsize\x000\0windowsize\x004\0", 100);
    let first = server.sent();
    server.wait(300);

    assert_eq!(server.transfer.handle_request(&server.request(), server.now), Action::Send);
    assert_eq!(server.sent(), first);
}

#[test]
fn a_late_copy_of_the_request_does_not_disturb_the_transfer() {
    let mut server = Server::in_window_of_four();
    server.wait(999);
    assert_eq!(server.transfer.handle_request(&server.request(), server.now), Action::Ignore(Stray::LateCopy));
    assert!(server.sent().is_empty());
}

#[test]
fn a_client_that_begins_anew_ends_the_transfer() {
    let mut server = Server::in_window_of_four();
    let mut other = server.request();
    other.options.transfer_size = true;
    assert_eq!(server.transfer.handle_request(&other, server.now), Action::End(Outcome::Replaced));

    let mut server = Server::in_window_of_four();
    server.wait(1000);
    assert_eq!(server.transfer.handle_request(&server.request(), server.now), Action::End(Outcome::Replaced));
}

#[test]
fn what_has_ended_stays_ended() {
    let mut server = Server::in_window_of_four();
    let end = Action::End(Outcome::Unreachable);
    assert_eq!(server.transfer.handle_unreachable(), end);

    assert_eq!(server.ack(4), end);
    assert_eq!(server.time_out(), end);
    assert_eq!(server.transfer.stop(), end);
    assert_eq!(server.receive(b"\0\x05\0\0"), end);
    assert!(server.sent().is_empty());
}

#[test]
fn packets_that_no_reading_client_sends_change_nothing() {
    let mut server = Server::in_window_of_four();
    for datagram in [b"\0\x01a\0octet\0".as_slice(), b"\0\x02a\0octet\0", b"\0\x03\0\x01a", b"\0\x06"] {
        assert_eq!(server.receive(datagram), Action::Ignore(Stray::Unexpected));
    }
    assert_eq!(server.receive(b"\0"), Action::Ignore(Stray::Malformed(Malformed::Short)));
    assert!(server.sent().is_empty());
}

/// A transfer and its clock.
struct Server {
    transfer: Transfer<Vec<u8>>,
    started: Instant,
    now: Instant,
}

impl Server {
    /// Answers a request with these options, in wire format, for a file of this length.
    fn asked(options: &[u8], length: usize) -> Self {
        let Admission::Read(request) = admit(&[b"\0\x01file\0octet\0", options].concat()) else { panic!("a read") };
        let now = epoch();
        let transfer = Transfer::start(request, vec![0; length], Limits::default(), now);
        Self { transfer, started: now, now }
    }

    /// Has just sent blocks 1 to 4 of 8 octets, to a client that answers within a millisecond.
    fn in_window_of_four() -> Self {
        let mut server = Self::asked(b"blksize\x008\0windowsize\x004\0", 1000);
        server.sent();
        server.wait(1);
        server.ack(0);
        assert_eq!(server.sent(), ["DATA 1 8", "DATA 2 8", "DATA 3 8", "DATA 4 8"]);
        server
    }

    fn request(&self) -> ReadRequest {
        self.transfer.request().clone()
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    fn elapsed(&self) -> u128 {
        (self.now - self.started).as_millis()
    }

    /// Lets time pass until the timeout is due.
    fn time_out(&mut self) -> Action {
        self.now = self.transfer.poll_timeout();
        self.transfer.handle_timeout(self.now)
    }

    fn ack(&mut self, block: u16) -> Action {
        let mut datagram = Vec::new();
        Packet::Ack { block }.write(&mut datagram);
        self.receive(&datagram)
    }

    fn receive(&mut self, datagram: &[u8]) -> Action {
        self.transfer.handle(datagram, self.now)
    }

    /// What is sent now, in words.
    fn sent(&mut self) -> Vec<String> {
        let mut packet = Vec::new();
        let mut sent = Vec::new();
        while self.transfer.next_packet(&mut packet) {
            sent.push(in_words(&packet));
        }
        sent
    }
}

fn in_words(packet: &[u8]) -> String {
    match Packet::parse(packet) {
        Ok(Packet::Data { block, payload }) => format!("DATA {block} {}", payload.len()),
        Ok(Packet::OptionAck(options)) => options.iter().fold("OACK".to_owned(), |words, (name, value)| {
            format!("{words} {}={}", name.escape_ascii(), value.escape_ascii())
        }),
        other => panic!("{other:?}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "an instant comes from nowhere else; the tests only count from it")]
fn epoch() -> Instant {
    Instant::now()
}
