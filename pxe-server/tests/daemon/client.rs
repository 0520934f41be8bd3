//! Clients: they send what firmware sends, from UDP sockets of their own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};
use lab_model::MacAddr;
use lab_tests::{Namespace, SERVER};

use crate::server::LIMIT;

/// A DHCP client with a hardware address of its own.
pub(crate) struct DhcpClient {
    socket: UdpSocket,
    mac: MacAddr,
    /// Whether it asks for replies by broadcast.
    broadcast: bool,
    /// What all its messages have.
    says: Vec<DhcpOption>,
}

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) kind: MessageType,
    pub(crate) address: Ipv4Addr,
}

/// How long a client waits before it asks again (RFC 2131 §4.1 has four seconds).
const PATIENCE: Duration = Duration::from_millis(500);

impl DhcpClient {
    /// A client whose replies are broadcast, as firmware's are.
    pub(crate) fn new(mac: MacAddr) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68)).unwrap();
        socket.set_broadcast(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, mac, broadcast: true, says: Vec::new() }
    }

    /// A client that has replies sent to the address which it is about to get.
    pub(crate) fn unicast(mac: MacAddr) -> Self {
        Self { broadcast: false, ..Self::new(mac) }
    }

    /// The client, which says this of itself too.
    pub(crate) fn saying(mut self, option: DhcpOption) -> Self {
        self.says.push(option);
        self
    }

    /// Goes from DHCPDISCOVER to DHCPACK, and returns the address.
    pub(crate) fn address(&self) -> Ipv4Addr {
        let offer = self.discover();
        assert_eq!(offer.kind, MessageType::Offer);
        let answer = self.request(offer.address);
        assert_eq!(answer, Answer { kind: MessageType::Ack, address: offer.address });
        answer.address
    }

    /// Sends one DHCPDISCOVER.
    pub(crate) fn send_discover(&self) {
        self.send(&self.message(&[DhcpOption::MessageType(MessageType::Discover)]).to_vec().unwrap());
    }

    /// Sends a datagram to the server's port.
    pub(crate) fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, (Ipv4Addr::BROADCAST, 67)).unwrap();
    }

    /// Sends a DHCPDISCOVER until it is answered.
    pub(crate) fn discover(&self) -> Answer {
        self.ask(&[DhcpOption::MessageType(MessageType::Discover)])
    }

    /// Asks for an address that was offered.
    pub(crate) fn request(&self, address: Ipv4Addr) -> Answer {
        self.ask(&[
            DhcpOption::MessageType(MessageType::Request),
            DhcpOption::RequestedIpAddress(address),
            DhcpOption::ServerIdentifier(SERVER),
        ])
    }

    /// Sends the DHCPDISCOVER of firmware of this vendor class until it is answered.
    pub(crate) fn discover_as(&self, vendor_class: &[u8]) -> Message {
        self.exchange(&[
            DhcpOption::MessageType(MessageType::Discover),
            DhcpOption::ClassIdentifier(vendor_class.to_vec()),
        ])
    }

    /// Takes an address that this firmware was offered.
    pub(crate) fn request_as(&self, vendor_class: &[u8], address: Ipv4Addr) {
        let answer = self.ask(&[
            DhcpOption::MessageType(MessageType::Request),
            DhcpOption::RequestedIpAddress(address),
            DhcpOption::ServerIdentifier(SERVER),
            DhcpOption::ClassIdentifier(vendor_class.to_vec()),
        ]);
        assert_eq!(answer, Answer { kind: MessageType::Ack, address });
    }

    /// Asks for more time with the address that it uses (RFC 2131 §4.3.2, RENEWING).
    pub(crate) fn renew(&self, address: Ipv4Addr) -> Answer {
        let mut message = self.message(&[DhcpOption::MessageType(MessageType::Request)]);
        message.set_ciaddr(address);
        self.answer(&message)
    }

    /// Goes from DHCPDISCOVER to DHCPACK under this name, and returns the address and the name servers that it is told.
    pub(crate) fn address_and_name_servers(&self, hostname: &str) -> (Ipv4Addr, Vec<Ipv4Addr>) {
        let message = self.exchange(&[
            DhcpOption::MessageType(MessageType::Request),
            DhcpOption::RequestedIpAddress(self.discover().address),
            DhcpOption::ServerIdentifier(SERVER),
            DhcpOption::Hostname(hostname.to_owned()),
        ]);
        let servers = match message.opts().get(OptionCode::DomainNameServer) {
            Some(DhcpOption::DomainNameServer(servers)) => servers.clone(),
            _ => Vec::new(),
        };
        (message.yiaddr(), servers)
    }

    fn ask(&self, options: &[DhcpOption]) -> Answer {
        self.answer(&self.message(options))
    }

    fn answer(&self, question: &Message) -> Answer {
        let message = self.exchange_message(question);
        let kind = match message.opts().get(OptionCode::MessageType) {
            Some(DhcpOption::MessageType(kind)) => *kind,
            other => panic!("{other:?} is no message type"),
        };
        Answer { kind, address: message.yiaddr() }
    }

    fn exchange(&self, options: &[DhcpOption]) -> Message {
        self.exchange_message(&self.message(options))
    }

    fn exchange_message(&self, message: &Message) -> Message {
        let datagram = message.to_vec().unwrap();
        for _ in 0..LIMIT.as_millis() / PATIENCE.as_millis() {
            self.send(&datagram);
            if let Some(answer) = self.receive(message.xid()) {
                return answer;
            }
        }
        panic!("no answer to {message:?}");
    }

    fn message(&self, options: &[DhcpOption]) -> Message {
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message = Message::new(none, none, none, none, &self.mac.bytes());
        message.set_flags(if self.broadcast { Flags::default().set_broadcast() } else { Flags::default() });
        for option in options.iter().chain(&self.says) {
            message.opts_mut().insert(option.clone());
        }
        message
    }

    fn receive(&self, transaction: u32) -> Option<Message> {
        let mut buffer = [0; 1500];
        loop {
            let (length, _) = self.socket.recv_from(&mut buffer).ok()?;
            let message = Message::decode(&mut Decoder::new(&buffer[..length])).unwrap();
            if message.xid() == transaction {
                return Some(message);
            }
        }
    }
}

/// Does something on a host that is plugged into the bridge.
pub(crate) fn elsewhere<T: Send + 'static>(namespace: &Namespace, work: impl FnOnce() -> T + Send + 'static) -> T {
    namespace.neighbour(work).unwrap().join().unwrap().unwrap()
}

/// What a server says to a request for this URL, whether it is a success or not.
pub(crate) fn http_get(url: &str) -> (u16, String) {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(LIMIT)).build();
    let mut response = agent.new_agent().get(url).call().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

/// Reads a file by TFTP in blocks of 512 bytes, without options (RFC 1350).
pub(crate) fn tftp_read(name: &str) -> Result<Vec<u8>, String> {
    tftp_read_from(SERVER.into(), name)
}

/// As [`tftp_read`], from the server at this address.
pub(crate) fn tftp_read_from(server: IpAddr, name: &str) -> Result<Vec<u8>, String> {
    let any = if server.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.send_to(format!("\0\x01{name}\0octet\0").as_bytes(), (server, 69)).unwrap();
    let mut file = Vec::new();
    let mut buffer = [0; 516];
    loop {
        let (length, sender) = socket.recv_from(&mut buffer).unwrap();
        match buffer[..length] {
            [0, 3, high, low, ref block @ ..] => {
                if usize::from(u16::from_be_bytes([high, low])) == file.len() / 512 + 1 {
                    file.extend_from_slice(block);
                }
                socket.send_to(&[0, 4, high, low], sender).unwrap();
                if block.len() < 512 {
                    return Ok(file);
                }
            }
            [0, 5, _, _, ref message @ ..] => return Err(String::from_utf8_lossy(message).into_owned()),
            _ => panic!("{:?} is no answer to a read request", &buffer[..length]),
        }
    }
}
