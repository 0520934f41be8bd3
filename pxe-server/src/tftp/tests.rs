//! The service on the loopback interface, against a client that is part of the tests.

mod bench;

use std::io;

use lab_tests::{Namespace, process::run};
use pxe_proto::tftp::{ErrorCode, Outcome, Packet, Refusal};

use self::bench::{Bench, Client, contents};
use super::{Config, Ports, Report, Server};

#[tokio::test]
async fn delivers_files_under_whatever_was_negotiated() {
    let mut bench = Bench::start(|_| {});
    for block_size in [None, Some(8), Some(512), Some(1432), Some(1468), Some(9000)] {
        for window in [None, Some(1), Some(4), Some(64), Some(1000)] {
            for name in ["empty", "small", "even"] {
                let client = Client::new(&bench).await;

                let received = client.fetch(name, block_size, window).await;

                assert!(received == contents(name), "{name} {block_size:?} {window:?}");
                let Report::Ended { client: address, file, outcome, progress } = bench.report().await else {
                    panic!("a transfer");
                };
                assert_eq!((address, file.as_str(), outcome), (client.address(), name, Outcome::Finished));
                assert_eq!(progress.bytes, contents(name).len() as u64);
                assert_eq!(progress.block_size, block_size.map_or(512, |size| size.min(1468)));
                assert_eq!(progress.window, window.map_or(1, |window| window.min(64)));
            }
        }
    }
}

#[tokio::test]
async fn block_numbers_wrap_in_a_file_of_more_than_65535_blocks() {
    let mut bench = Bench::start(|_| {});
    for window in [7, 64] {
        let client = Client::new(&bench).await;

        let received = client.fetch("long", Some(8), Some(window)).await;

        assert!(received == contents("long"), "window {window}");
        assert_eq!(bench.outcome().await, Outcome::Finished);
    }
}

#[tokio::test]
async fn sends_plain_blocks_to_a_client_that_knows_no_options() {
    let mut bench = Bench::start(|_| {});
    let client = Client::new(&bench).await;
    let mut buffer = [0; 600];

    client.ask(b"\0\x01small\0octet\0").await;

    let (packet, transfer) = client.receive(&mut buffer).await;
    assert_eq!(packet, Packet::Data { block: 1, payload: &contents("small") });
    assert_ne!(transfer.port(), bench.address.port());
    client.send(Packet::Ack { block: 1 }, transfer).await;
    assert_eq!(bench.outcome().await, Outcome::Finished);
}

#[tokio::test]
async fn edk2_asks_for_the_size_and_then_for_the_file_from_the_same_port() {
    let mut bench = Bench::start(|_| {});
    let client = Client::new(&bench).await;
    let mut buffer = [0; 600];

    client.ask(b"\0\x01large\0octet\0tsize\x000\0blksize\x001468\0windowsize\x004\0").await;
    let (packet, transfer) = client.receive(&mut buffer).await;
    let Packet::OptionAck(options) = packet else { panic!("an OACK, not {packet:?}") };
    assert_eq!(options.value("tsize"), Some(b"100001".as_slice()));
    let code = ErrorCode::OPTIONS_REFUSED;
    client.send(Packet::Error { code, message: b"User aborted the transfer" }, transfer).await;
    client.ask(b"\0\x01large\0octet\0blksize\x001468\0windowsize\x004\0").await;

    assert!(client.collect().await == contents("large"));
    assert_eq!([bench.outcome().await, bench.outcome().await], [Outcome::Probed, Outcome::Finished]);
}

#[tokio::test]
async fn a_request_sent_twice_starts_one_transfer() {
    let mut bench = Bench::start(|_| {});
    let client = Client::new(&bench).await;
    let (mut first, mut second) = ([0; 600], [0; 600]);

    client.ask_to_read("small", "blksize=512").await;
    client.ask_to_read("small", "blksize=512").await;

    let (packet, transfer) = client.receive(&mut first).await;
    let again = client.receive(&mut second).await;
    assert_eq!((packet, transfer), again, "the same packet from the same port");
    client.send(Packet::Ack { block: 0 }, transfer).await;
    let (packet, _) = client.receive(&mut first).await;
    assert_eq!(packet, Packet::Data { block: 1, payload: &contents("small") });
    client.send(Packet::Ack { block: 1 }, transfer).await;
    assert_eq!(bench.outcome().await, Outcome::Finished);
    assert_eq!(bench.stop().await, []);
}

#[tokio::test]
async fn a_client_that_begins_anew_gets_what_it_asks_for_now() {
    let mut bench = Bench::start(|_| {});
    let client = Client::new(&bench).await;
    let mut buffer = [0; 600];
    client.ask(b"\0\x01large\0octet\0").await;
    let (_, abandoned) = client.receive(&mut buffer).await;

    client.ask(b"\0\x01small\0octet\0").await;

    let (packet, transfer) = client.receive(&mut buffer).await;
    assert_eq!(packet, Packet::Data { block: 1, payload: &contents("small") });
    assert_ne!(transfer, abandoned);
    assert_eq!(bench.outcome().await, Outcome::Replaced);
}

#[tokio::test]
async fn serves_two_clients_at_once() {
    let mut bench = Bench::start(|_| {});
    let (one, other) = (Client::new(&bench).await, Client::new(&bench).await);

    let received = tokio::join!(one.fetch("large", None, None), other.fetch("long", Some(1468), Some(16)));

    assert!(received == (contents("large"), contents("long")));
    assert_eq!([bench.outcome().await, bench.outcome().await], [Outcome::Finished, Outcome::Finished]);
}

#[tokio::test]
async fn refuses_what_it_does_not_serve() {
    let mut bench = Bench::start(|_| {});
    let client = Client::new(&bench).await;
    let mut buffer = [0; 600];
    for (datagram, code, message, refusal) in [
        (
            b"\0\x01../etc/passwd\0octet\0".as_slice(),
            1,
            "no such file: ../etc/passwd",
            Refusal::NotFound("../etc/passwd".into()),
        ),
        (b"\0\x01SMALL\0octet\0", 1, "no such file: SMALL", Refusal::NotFound("SMALL".into())),
        (b"\0\x02small\0octet\0", 2, "this server is read-only", Refusal::Write("small".into())),
    ] {
        client.ask(datagram).await;

        let (packet, _) = client.receive(&mut buffer).await;
        assert_eq!(packet, Packet::Error { code: ErrorCode(code), message: message.as_bytes() });
        assert_eq!(bench.report().await, Report::Refused { client: client.address(), refusal });
    }
}

#[tokio::test]
async fn finds_files_under_the_names_that_sloppy_firmware_writes() {
    let mut bench = Bench::start(|_| {});
    for name in ["/small", "./small", "\\small", "//./small"] {
        let client = Client::new(&bench).await;
        assert!(client.fetch(name, None, None).await == contents("small"), "{name}");
        assert_eq!(bench.outcome().await, Outcome::Finished);
    }
}

#[tokio::test]
async fn has_room_for_so_many_transfers_and_no_more() {
    for (bound, refusal) in [
        ((|config| config.bounds.transfers = 2) as fn(&mut Config), Refusal::Busy),
        (|config| config.bounds.transfers_per_client = 2, Refusal::ClientBusy),
    ] {
        let mut bench = Bench::start(bound);
        let mut buffer = [0; 600];
        let clients = [Client::new(&bench).await, Client::new(&bench).await];
        for client in &clients {
            client.ask_to_read("large", "blksize=512").await;
            let (packet, transfer) = client.receive(&mut buffer).await;
            assert!(matches!(packet, Packet::OptionAck(_)), "{packet:?}");
            client.send(Packet::Ack { block: 0 }, transfer).await;
            assert!(matches!(client.receive(&mut buffer).await, (Packet::Data { .. }, _)));
        }
        let late = Client::new(&bench).await;

        late.ask_to_read("small", "").await;

        let (packet, _) = late.receive(&mut buffer).await;
        let message = refusal.to_string();
        assert_eq!(packet, Packet::Error { code: ErrorCode::NOT_DEFINED, message: message.as_bytes() });
        assert_eq!(bench.report().await, Report::Refused { client: late.address(), refusal });

        clients[0].ask_to_read("small", "").await;
        assert!(matches!(clients[0].receive(&mut buffer).await, (Packet::Data { .. }, _)), "in place of its first");
    }
}

#[tokio::test]
async fn whoever_never_answers_gives_way_the_oldest_first() {
    for bound in
        [(|config| config.bounds.transfers = 2) as fn(&mut Config), |config| config.bounds.transfers_per_client = 2]
    {
        let mut bench = Bench::start(bound);
        let mut buffer = [0; 600];
        let silent = [Client::new(&bench).await, Client::new(&bench).await];
        for client in &silent {
            client.ask_to_read("large", "blksize=512").await;
            client.receive(&mut buffer).await;
        }

        let late = Client::new(&bench).await;
        assert!(late.fetch("small", None, None).await == contents("small"));

        let Report::Ended { client, outcome, .. } = bench.report().await else { panic!("an end") };
        assert_eq!((client, outcome), (silent[0].address(), Outcome::GaveWay));
        assert_eq!(bench.outcome().await, Outcome::Finished);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_room_at_once() {
    let mut bench = Bench::start(|config| config.bounds.transfers = 1);
    let client = Client::new(&bench).await;
    let mut buffer = [0; 600];
    client.ask_to_read("large", "blksize=512").await;
    let (_, transfer) = client.receive(&mut buffer).await;
    client.send(Packet::Ack { block: 0 }, transfer).await;

    drop(client);

    assert_eq!(bench.outcome().await, Outcome::Unreachable);
    let next = Client::new(&bench).await;
    assert!(next.fetch("small", None, None).await == contents("small"));
}

#[tokio::test]
async fn a_stop_ends_transfers_and_tells_their_clients() {
    let bench = Bench::start(|_| {});
    let client = Client::new(&bench).await;
    let mut buffer = [0; 600];
    client.ask_to_read("large", "blksize=512").await;
    client.receive(&mut buffer).await;

    let reports = bench.stop().await;

    assert!(matches!(&reports[..], [Report::Ended { outcome: Outcome::Stopped, .. }]), "{reports:?}");
    let (packet, _) = client.receive(&mut buffer).await;
    assert_eq!(packet, Packet::Error { code: ErrorCode::NOT_DEFINED, message: b"the server is stopping" });
}

#[tokio::test]
async fn noise_does_no_harm() {
    let mut bench = Bench::start(|_| {});
    let noisy = Client::new(&bench).await;
    for datagram in [b"".as_slice(), b"\0", b"\0\x01", b"\0\x01name", b"\0\x04\0\x01", b"\xff\xff", &[0; 1400]] {
        noisy.ask(datagram).await;
    }

    let client = Client::new(&bench).await;
    assert!(client.fetch("large", None, None).await == contents("large"));
    assert_eq!(bench.outcome().await, Outcome::Finished);
}

#[tokio::test]
async fn says_at_once_that_its_address_is_taken() {
    let bench = Bench::start(|_| {});
    let mut config = Config::new(bench.address.ip());
    assert_eq!(config.address.port(), 69);
    config.address = bench.address;

    let error = Server::bind(config).expect_err("two cannot listen");

    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn transfers_leave_from_the_ports_that_they_are_given() {
    let free = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let mut bench = Bench::start(|config| config.ports = Ports::Among(free..=free));
    let (one, other) = (Client::new(&bench).await, Client::new(&bench).await);
    let mut buffer = [0; 600];

    one.ask_to_read("large", "blksize=512").await;
    let (_, transfer) = one.receive(&mut buffer).await;
    assert_eq!(transfer.port(), free);

    other.ask_to_read("small", "").await;
    let (packet, _) = other.receive(&mut buffer).await;
    assert!(matches!(packet, Packet::Error { .. }), "no port is left: {packet:?}");
    assert!(matches!(bench.report().await, Report::Refused { refusal: Refusal::NoResources, .. }));
}

#[tokio::test]
async fn transfers_can_share_the_port_that_requests_come_to() {
    let mut bench = Bench::start(|config| config.ports = Ports::Listening);
    let (one, other) = (Client::new(&bench).await, Client::new(&bench).await);

    let received = tokio::join!(one.fetch("large", None, Some(4)), other.fetch("even", Some(1468), Some(16)));

    assert!(received == (contents("large"), contents("even")));
    assert_eq!([bench.outcome().await, bench.outcome().await], [Outcome::Finished, Outcome::Finished]);

    // The probe, its end and the read reach the same port at once.
    let (firmware, mut buffer) = (Client::new(&bench).await, [0; 600]);
    firmware.ask(b"\0\x01large\0octet\0tsize\x000\0blksize\x001468\0windowsize\x004\0").await;
    let (_, transfer) = firmware.receive(&mut buffer).await;
    assert_eq!(transfer, bench.address);
    let code = ErrorCode::OPTIONS_REFUSED;
    firmware.send(Packet::Error { code, message: b"User aborted the transfer" }, transfer).await;
    firmware.ask(b"\0\x01large\0octet\0blksize\x001468\0windowsize\x004\0").await;

    assert!(firmware.collect().await == contents("large"));
    assert_eq!([bench.outcome().await, bench.outcome().await], [Outcome::Probed, Outcome::Finished]);
}

#[tokio::test]
async fn a_block_is_no_longer_than_the_route_carries() {
    let _namespace = Namespace::enter().expect("a network namespace");
    run("ip", &["link", "set", "lo", "mtu", "1280"]).expect("a short route");
    let mut bench = Bench::start(|_| {});
    let client = Client::new(&bench).await;

    assert!(client.fetch("large", Some(1468), Some(4)).await == contents("large"));

    let Report::Ended { progress, .. } = bench.report().await else { panic!("a transfer") };
    assert_eq!(progress.block_size, 1280 - 32);
}

#[tokio::test]
async fn serves_on_the_interface_that_it_is_bound_to() {
    let mut bench = Bench::start(|config| config.device = Some("lo".to_owned()));
    let client = Client::new(&bench).await;

    assert!(client.fetch("small", None, None).await == contents("small"));
    assert_eq!(bench.outcome().await, Outcome::Finished);

    let mut config = Config::new(bench.address.ip());
    config.device = Some("no-such-device".to_owned());
    assert!(Server::bind(config).is_err());
}
