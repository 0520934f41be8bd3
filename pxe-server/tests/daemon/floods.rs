//! More than anybody needs, from whoever is on the link: known machines are served meanwhile, and memory stays what it is.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dhcproto::Encodable as _;
use dhcproto::v4::{DhcpOption, Message, MessageType};
use lab_model::MacAddr;
use lab_tests::process::{run, until};
use lab_tests::{Host, Namespace, SERVER};
use socket2::{Domain, Socket, Type};

use crate::client::{DhcpClient, elsewhere, http_get};
use crate::server::{LIMIT, ON_THE_BRIDGE, Server, definition};
use crate::tls;

/// What the server may take at most, whatever happens: its program's pages and all.
const MEMORY_KIB: u64 = 64 << 10;

#[test]
fn a_hundred_thousand_strangers_that_ask_for_addresses() {
    let namespace = Namespace::enter().unwrap();
    let server = lab();
    let strangers = Strangers::on(&namespace);
    let socket = strangers.0.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68)).unwrap()).unwrap();
    socket.set_broadcast(true).unwrap();
    let flood = Flood::start(100_000, move |number| {
        let [a, b, c, d] = number.to_be_bytes();
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message = Message::new(none, none, none, none, &[0x02, 0x99, a, b, c, d]);
        message.opts_mut().insert(DhcpOption::MessageType(MessageType::Discover));
        let _ = socket.send_to(&message.to_vec().unwrap(), (Ipv4Addr::BROADCAST, 67));
    });

    let address = elsewhere(&namespace, || DhcpClient::new(WEB).address());

    assert_eq!(address, RESERVED);
    flood.end();
    check(&server);
}

#[test]
fn thousands_of_transfers_that_nobody_reads() {
    let namespace = Namespace::enter().unwrap();
    let server = lab();
    let strangers = Strangers::on(&namespace);
    let sockets = strangers.sockets(1000);
    let requests = [
        "autoexec.ipxe octet ",
        "autoexec.ipxe octet blksize 65464 windowsize 65535 tsize 0 timeout 255 ",
        "autoexec.ipxe octet blksize 18446744073709551616 tsize 18446744073709551615 ",
        "autoexec.ipxe octet blksize 8 windowsize 64 ",
    ];
    let requests = requests.map(|words| [&b"\0\x01"[..], words.replace(' ', "\0").as_bytes()].concat());
    let flood = Flood::start(20_000, move |number| {
        let socket = &sockets[number as usize % sockets.len()];
        let _ = socket.send_to(&requests[number as usize % requests.len()], (SERVER, 69));
    });

    let read = elsewhere(&namespace, || (0..20).map(|_| read_script()).collect::<Vec<_>>());

    assert!(read.iter().all(|file| file.starts_with(b"#!ipxe")), "{read:?}");
    flood.end();
    check(&server);
}

#[test]
fn ten_thousand_connections_that_say_nothing() {
    let namespace = Namespace::enter().unwrap();
    let server = lab();
    let strangers = Strangers::on(&namespace);
    let connections = strangers.connect(10_000, 80);

    let (status, _) = elsewhere(&namespace, || http_get(&format!("http://{SERVER}/health")));

    assert_eq!(status, 200);
    drop(connections);
    check(&server);
}

#[test]
fn thousands_of_connections_that_ask_once_and_stay() {
    let namespace = Namespace::enter().unwrap();
    let server = lab();
    let strangers = Strangers::on(&namespace);
    let connections = strangers.ask_once(2500);

    let (status, _) = elsewhere(&namespace, || http_get(&format!("http://{SERVER}/health")));

    assert_eq!(status, 200);
    drop(connections);
    check(&server);
}

#[test]
fn ten_thousand_connections_that_never_shake_hands() {
    let namespace = Namespace::enter().unwrap();
    let mut server = tls::serving();
    let strangers = Strangers::on(&namespace);
    let connections = strangers.connect(10_000, 443);

    let authority = server.path("ca.crt");
    let healthy = elsewhere(&namespace, move || tls::ask(&authority, &[&format!("https://{SERVER}/healthz")]));

    assert_eq!(healthy.stdout, b"ok\n", "{healthy:?}");
    check(&server);
    assert_eq!(server.stop(), ExitStatus::default());
    assert!(!server.log().contains("did not end in time"), "nobody waits for a handshake: {}", server.log());
    drop(connections);
}

#[test]
fn hundreds_of_readers_that_take_nothing() {
    let namespace = Namespace::enter().unwrap();
    let server = lab();
    let strangers = Strangers::on(&namespace);
    let readers = strangers.0.run(|| (0..200).map(|_| reader()).collect::<Vec<_>>()).unwrap();

    let (status, _) = elsewhere(&namespace, || http_get(&format!("http://{SERVER}/health")));

    assert_eq!(status, 200);
    drop(readers);
    check(&server);
}

/// Reads a script that fits into one block, as firmware does: a request that is lost in the flood is sent again.
fn read_script() -> Vec<u8> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut buffer = [0; 516];
    let answer = || {
        socket.send_to(b"\0\x01autoexec.ipxe\0octet\0", (SERVER, 69))?;
        Ok(socket.recv_from(&mut buffer).ok())
    };
    let (length, transfer) = until(LIMIT, answer).unwrap().expect("an answer");
    assert_eq!(buffer[..4], [0, 3, 0, 1], "{}", String::from_utf8_lossy(&buffer[..length]));
    socket.send_to(&[0, 4, 0, 1], transfer).unwrap();
    buffer[4..length].to_vec()
}

/// A connection that asks until the server waits for it to take answers.
fn reader() -> TcpStream {
    let mut stream = TcpStream::connect((SERVER, 80)).unwrap();
    stream.set_nonblocking(true).unwrap();
    let requests = "GET /machines HTTP/1.1\r\nHost: lab\r\n\r\n".repeat(100);
    while stream.write(requests.as_bytes()).is_ok() {}
    stream
}

/// A server with a machine.
fn lab() -> Server {
    let mut server = Server::configured(ON_THE_BRIDGE);
    server.define("web.toml", &definition("web", 1, &RESERVED.to_string()));
    server.start();
    server
}

/// The server has taken no more memory than it may, and its log has no fault.
fn check(server: &Server) {
    let peak = server.peak_memory_kib();
    assert!(peak < MEMORY_KIB, "{peak} KiB");
    let log = server.log();
    let faults: Vec<_> = log.lines().filter(|line| line.contains(" ERROR ") || line.contains("panicked")).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

/// A host on the link with 127 addresses, 10.77.0.128 and those that follow.
struct Strangers(Host);

impl Strangers {
    fn on(_: &Namespace) -> Self {
        let host = Host::new().unwrap();
        host.plug_into("strangers").unwrap();
        run("ip", &["link", "set", "strangers", "master", "lab"]).unwrap();
        host.ip(&["address", "add", "10.77.0.3/24", "dev", "eth0"]).unwrap();
        host.ip(&["route", "add", "default", "via", &SERVER.to_string()]).unwrap();
        host.ip(&["route", "add", "local", "10.77.0.128/25", "dev", "lo"]).unwrap();
        Self(host)
    }

    /// Sockets of its addresses in turn.
    fn sockets(&self, count: usize) -> Vec<UdpSocket> {
        let socket = |number| UdpSocket::bind((address(number), 0)).unwrap();
        self.0.run(move || (0..count).map(socket).collect()).unwrap()
    }

    /// Connections from its addresses in turn, each with an answer.
    fn ask_once(&self, count: usize) -> Vec<Socket> {
        let ask = move |number| {
            let mut socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.bind(&SocketAddr::from((address(number), 0)).into()).unwrap();
            socket.connect(&SocketAddr::from((SERVER, 80)).into()).unwrap();
            socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: lab\r\n\r\n").unwrap();
            socket.read_exact(&mut [0; 12]).unwrap_or_else(|error| panic!("number {number} is not answered: {error}"));
            socket
        };
        self.0.run(move || (0..count).map(ask).collect()).unwrap()
    }

    /// Connections from its addresses in turn, as far as the server takes them up.
    fn connect(&self, count: usize, port: u16) -> Vec<Socket> {
        let connect = move |number| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.bind(&SocketAddr::from((address(number), 0)).into()).unwrap();
            let _ = socket.connect(&SocketAddr::from((SERVER, port)).into());
            socket
        };
        self.0.run(move || (0..count).map(connect).collect()).unwrap()
    }
}

/// Less than a connection may be silent: who waits until others have been for that long is not answered.
const PATIENCE: Duration = Duration::from_secs(20);

fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, 128 + (number % 127) as u8)
}

/// A thread that does the same thing over and over.
struct Flood {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<u32>,
}

impl Flood {
    /// Does `work` at least so many times, and until [`Flood::end`]; returns when it is under way.
    fn start(least: u32, work: impl Fn(u32) + Send + 'static) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (begun, begin) = mpsc::channel();
        let over = ended.clone();
        let thread = thread::spawn(move || {
            let mut number = 0;
            while number < least || !over.load(Ordering::Relaxed) {
                work(number);
                number += 1;
                if number == UNDER_WAY {
                    let _ = begun.send(());
                }
            }
            number
        });
        begin.recv().unwrap();
        Self { ended, thread }
    }

    /// Waits until it is done.
    fn end(self) {
        self.ended.store(true, Ordering::Relaxed);
        let times = self.thread.join().unwrap();
        eprintln!("{times} times");
    }
}

const UNDER_WAY: u32 = 2000;
const WEB: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);
const RESERVED: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 50);
