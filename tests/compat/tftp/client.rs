//! Clients on a host of their own, packet by packet: nothing is sent that an exchange does not say.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use lab_tests::process::run;
use lab_tests::{BRIDGE, Host, NEIGHBOUR, SERVER, network};
use pxe_proto::tftp::Packet;

use super::subject::{Files, PROGRAM, Running, SCRIPT};

/// A host with clients, on a link with the server.
pub(crate) struct Clients {
    host: Host,
    server: Running,
}

/// One client, on a port of its own. It sends an error when it is dropped, so that nobody goes on sending.
pub(crate) struct Client {
    socket: UdpSocket,
    /// The port that the server answers from (RFC 1350 §4, its TID).
    pub(crate) server: SocketAddr,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A block by its number.
    Data(u16, Vec<u8>),
    /// The options that the server agrees to, `name=value` by their names' order.
    OptionAck(String),
    /// What a writer is told: go on.
    Ack(u16),
    /// An error by its code.
    Error(u16),
    /// Nobody has the port.
    Unreachable,
    /// What no server should send.
    Other(Vec<u8>),
}

impl Clients {
    /// Plugs them into the bridge.
    pub(crate) fn of(server: Running) -> Self {
        let host = Host::new().unwrap();
        host.plug_into("clients").unwrap();
        run("ip", &["link", "set", "clients", "master", BRIDGE]).unwrap();
        host.ip(&["address", "add", &format!("{NEIGHBOUR}/{}", network().prefix()), "dev", "eth0"]).unwrap();
        Self { host, server }
    }

    /// A client that has sent nothing yet.
    pub(crate) fn client(&mut self) -> Client {
        self.server.check_alive();
        let socket = self.host.run(|| UdpSocket::bind((NEIGHBOUR, 0))).unwrap().unwrap();
        Client { socket, server: (SERVER, 69).into() }
    }

    /// Sends this to the port for requests, and returns the client with the answer to it.
    pub(crate) fn ask(&mut self, request: &[u8]) -> (Client, Answer) {
        let mut client = self.client();
        client.send(request);
        let answer = client.receive();
        (client, answer)
    }

    /// Reads both files; the server need not be there yet.
    pub(crate) fn read_all(&mut self) -> Files {
        let started = Instant::now();
        loop {
            let mut client = self.client();
            client.send(&read(SCRIPT, ""));
            if matches!(client.receive_for(Duration::from_millis(300)), Some(Answer::Data(..))) {
                break;
            }
            assert!(started.elapsed() < LIMIT, "the server does not answer");
        }
        let [program, script] = [PROGRAM, SCRIPT].map(|file| {
            let (mut client, first) = self.ask(&read(file, ""));
            client.rest(first, 512).0
        });
        Files { program, script }
    }
}

impl Client {
    /// Sends to where the last answer came from.
    pub(crate) fn send(&self, packet: &[u8]) {
        // What came back from a port that is closed is told here or with the next answer.
        let _ = self.socket.send_to(packet, self.server);
    }

    pub(crate) fn acknowledge(&self, block: u16) {
        let [high, low] = block.to_be_bytes();
        self.send(&[0, 4, high, low]);
    }

    /// The next answer, which is known to come.
    pub(crate) fn receive(&mut self) -> Answer {
        self.receive_for(LIMIT).expect("the server answers")
    }

    /// The next answer, if it comes within this time.
    pub(crate) fn receive_for(&mut self, limit: Duration) -> Option<Answer> {
        let mut packet = [0; 2048];
        self.socket.set_read_timeout(Some(limit)).unwrap();
        match self.socket.recv_from(&mut packet) {
            Ok((length, server)) => {
                self.server = server;
                Some(Answer::of(&packet[..length]))
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Some(Answer::Unreachable),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The next answer that is not this one again, which is sent to whoever is late on a busy machine.
    pub(crate) fn receive_after(&mut self, before: &Answer) -> Answer {
        loop {
            let answer = self.receive();
            if answer != *before {
                return answer;
            }
        }
    }

    /// Has the client hear it when the server's port is closed to it.
    pub(crate) fn connect_to(&mut self, server: SocketAddr) {
        self.server = server;
        self.socket.connect(server).unwrap();
    }

    /// Acknowledges block after block up to the file's end, from this answer on; returns the file, and the last block's length.
    pub(crate) fn rest(&mut self, first: Answer, block_size: usize) -> (Vec<u8>, usize) {
        let (mut file, mut answer, mut expected) = (Vec::new(), first, 1);
        loop {
            match answer {
                Answer::Data(block, payload) if block == expected => {
                    file.extend(&payload);
                    self.acknowledge(block);
                    if payload.len() < block_size {
                        return (file, payload.len());
                    }
                    expected = expected.wrapping_add(1);
                }
                // Sent again, for whoever was late on a busy machine.
                Answer::Data(..) => {}
                other => panic!("{other:?} instead of block {expected}"),
            }
            answer = self.receive();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.server.port() != 69 {
            self.send(b"\0\x05\0\0enough\0");
        }
    }
}

impl Answer {
    fn of(packet: &[u8]) -> Self {
        match Packet::parse(packet) {
            Ok(Packet::Data { block, payload }) => Self::Data(block, payload.to_vec()),
            Ok(Packet::OptionAck(options)) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase();
                let mut options: Vec<_> =
                    options.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect();
                options.sort();
                Self::OptionAck(options.join(" "))
            }
            Ok(Packet::Error { code, .. }) => Self::Error(code.0),
            Ok(Packet::Ack { block }) => Self::Ack(block),
            Ok(Packet::ReadRequest(_) | Packet::WriteRequest(_)) | Err(_) => Self::Other(packet.to_vec()),
        }
    }

    /// In words, without what a block holds.
    pub(crate) fn said(&self) -> String {
        match self {
            Self::Data(block, payload) => format!("block {block} of {} octets", payload.len()),
            Self::OptionAck(options) => format!("options {options}"),
            Self::Ack(block) => format!("acknowledgement {block}"),
            Self::Error(code) => format!("error {code}"),
            Self::Unreachable => "the port is closed".to_owned(),
            Self::Other(packet) => format!("no answer: {}", packet.escape_ascii()),
        }
    }
}

/// A read request in octets; options are `name=value`, with blanks between.
pub(crate) fn read(file: &str, options: &str) -> Vec<u8> {
    request(1, file, "octet", options)
}

/// A request (RFC 1350 §5, RFC 2347).
pub(crate) fn request(opcode: u8, file: &str, mode: &str, options: &str) -> Vec<u8> {
    let mut packet = vec![0, opcode];
    let options = options.split_terminator(' ').flat_map(|option| option.splitn(2, '='));
    for text in [file, mode].into_iter().chain(options) {
        packet.extend(text.as_bytes());
        packet.push(0);
    }
    packet
}

/// How long a server may take that is known to answer.
const LIMIT: Duration = Duration::from_secs(60);
