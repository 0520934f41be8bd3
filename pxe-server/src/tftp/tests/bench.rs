//! A server with a few files, and a client that speaks RFC 1350 with options.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use pxe_proto::tftp::{Limits, Options, Outcome, Packet, Request};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::pulse::Pulses;
use crate::tftp::{Bounds, Config, House, Report, Server};

/// A running server; dropping it stops it.
pub(super) struct Bench {
    pub(super) address: SocketAddr,
    shutdown: CancellationToken,
    reports: mpsc::UnboundedReceiver<Report>,
    server: JoinHandle<()>,
}

/// Serves files, and hands on what happened.
struct Files<const N: usize> {
    files: [(&'static str, Bytes); N],
    reports: mpsc::UnboundedSender<Report>,
}

impl<const N: usize> House for Files<N> {
    fn file(&mut self, name: &str, _: IpAddr) -> Option<Bytes> {
        self.files.iter().find(|(other, _)| *other == name).map(|(_, file)| file.clone())
    }

    fn limits(&mut self, _: IpAddr, limits: Limits) -> Limits {
        limits
    }

    fn report(&mut self, report: Report) {
        self.reports.send(report).unwrap_or_default();
    }

    fn other_bounds(&mut self) -> Option<Bounds> {
        None
    }
}

impl Bench {
    /// Starts a server on a free port of the loopback interface.
    pub(super) fn start(adjust: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(Ipv4Addr::LOCALHOST.into());
        config.address.set_port(0);
        adjust(&mut config);
        let server = Server::bind(config).unwrap();
        let address = server.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let (sender, reports) = mpsc::unbounded_channel();
        let files = FILES.map(|(name, length)| (name, Bytes::from(pattern(length))));
        let run = server.run(Files { files, reports: sender }, Pulses::default().of("tftp"), shutdown.clone());
        Self { address, shutdown, reports, server: tokio::spawn(run) }
    }

    /// The next thing that happened.
    pub(super) async fn report(&mut self) -> Report {
        timeout(PATIENCE, self.reports.recv()).await.expect("a report in time").expect("a server that runs")
    }

    /// How the next transfer ended.
    pub(super) async fn outcome(&mut self) -> Outcome {
        match self.report().await {
            Report::Ended { outcome, .. } => outcome,
            refused @ Report::Refused { .. } => panic!("a transfer, not {refused:?}"),
        }
    }

    /// Stops the server and returns what it still reported.
    pub(super) async fn stop(mut self) -> Vec<Report> {
        self.shutdown.cancel();
        timeout(PATIENCE, self.server).await.expect("an end in time").expect("no panic");
        std::iter::from_fn(|| self.reports.try_recv().ok()).collect()
    }
}

/// A client's port.
pub(super) struct Client {
    pub(super) socket: UdpSocket,
    server: SocketAddr,
}

impl Client {
    pub(super) async fn new(bench: &Bench) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self { socket, server: bench.address }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Sends a datagram to the server's well-known port.
    pub(super) async fn ask(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.server).await.unwrap();
    }

    /// Asks to read, with options written as `name=value name=value`.
    pub(super) async fn ask_to_read(&self, name: &str, options: &str) {
        let options: String = options
            .split_terminator(' ')
            .filter_map(|option| option.split_once('='))
            .map(|(name, value)| format!("{name}\0{value}\0"))
            .collect();
        let options = Options::from_wire(options.as_bytes());
        self.send(Packet::ReadRequest(Request { name: name.as_bytes(), mode: b"octet", options }), self.server).await;
    }

    pub(super) async fn send(&self, packet: Packet<'_>, to: SocketAddr) {
        let mut buffer = Vec::new();
        packet.write(&mut buffer);
        self.socket.send_to(&buffer, to).await.unwrap();
    }

    /// The next datagram and where it came from.
    pub(super) async fn receive<'a>(&self, buffer: &'a mut [u8]) -> (Packet<'a>, SocketAddr) {
        let (length, from) =
            timeout(PATIENCE, self.socket.recv_from(buffer)).await.expect("an answer in time").unwrap();
        (Packet::parse(&buffer[..length]).unwrap(), from)
    }

    /// Reads a whole file.
    pub(super) async fn fetch(&self, name: &str, block_size: Option<u16>, window: Option<u16>) -> Vec<u8> {
        let block_size = block_size.map(|size| format!(" blksize={size}")).unwrap_or_default();
        let window = window.map(|window| format!(" windowsize={window}")).unwrap_or_default();
        self.ask_to_read(name, &format!("tsize=0{block_size}{window}")).await;
        self.collect().await
    }

    /// Receives a file under the options that the server acknowledges first.
    pub(super) async fn collect(&self) -> Vec<u8> {
        let mut buffer = vec![0; 0x10000];
        let (Packet::OptionAck(agreed), server) = self.receive(&mut buffer).await else { panic!("an OACK") };
        let number =
            |name| agreed.value(name).map(|value| std::str::from_utf8(value).unwrap().parse::<usize>().unwrap());
        let block_size = number("blksize").unwrap_or(512);
        let window = number("windowsize").unwrap_or(1);
        let length = number("tsize");
        self.send(Packet::Ack { block: 0 }, server).await;

        let mut file = Vec::new();
        let mut received = 0_usize;
        loop {
            let (packet, from) = self.receive(&mut buffer).await;
            let Packet::Data { block, payload } = packet else { panic!("data, not {packet:?}") };
            assert_eq!(from, server);
            if block != (received + 1) as u16 {
                continue;
            }
            received += 1;
            file.extend_from_slice(payload);
            let last = payload.len() < block_size;
            if last || received.is_multiple_of(window) {
                self.send(Packet::Ack { block }, server).await;
            }
            if last {
                assert_eq!(length.unwrap_or(file.len()), file.len());
                return file;
            }
        }
    }
}

/// What the server has under this name.
pub(super) fn contents(name: &str) -> Vec<u8> {
    FILES.iter().find(|(other, _)| *other == name).map(|&(_, length)| pattern(length)).expect("a file")
}

/// Octets in which no two blocks are the same.
fn pattern(length: usize) -> Vec<u8> {
    (0_u32..).flat_map(|word| word.wrapping_mul(0x9E37_79B9).to_be_bytes()).take(length).collect()
}

/// `even` fills its blocks of 8 or of 512 octets, so that an empty one must follow; `long` has more blocks of 8 octets
/// than there are block numbers.
const FILES: [(&str, usize); 5] =
    [("empty", 0), ("small", 200), ("even", 10 * 512), ("large", 100_001), ("long", 66_000 * 8 + 3)];

/// For what takes milliseconds, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);
