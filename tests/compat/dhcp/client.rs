//! Clients on the link, in Ethernet frames: they see whom a server sends to, and need no address themselves.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use lab_tests::process::run;
use lab_tests::{BRIDGE, Host, SERVER};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike as _, bind, send, setsockopt,
    socket,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::packet::{Answer, DISCOVER, Mac, Packet, mac};
use super::subject::Running;

/// Some clients on a link with the server.
pub(crate) struct Clients {
    link: File,
    transaction: u32,
    /// What [`MARKER`] has.
    marked: Ipv4Addr,
    server: Running,
    _host: Host,
}

/// The client whose answers show that the server is done with what was sent before.
const MARKER: Mac = mac(0xee);

/// How long a server may take that is known to answer.
const LIMIT: Duration = Duration::from_secs(60);

impl Clients {
    /// Plugs the clients into the bridge, and waits until the server there answers them.
    pub(crate) fn of(server: Running) -> Self {
        let host = Host::new().unwrap();
        host.plug_into("clients").unwrap();
        run("ip", &["link", "set", "clients", "master", BRIDGE]).unwrap();
        let link = host.run(open_link).unwrap();
        let mut clients =
            Self { link: link.into(), transaction: 1, marked: Ipv4Addr::UNSPECIFIED, server, _host: host };
        clients.marked = clients.get_address(MARKER);
        Self::own(clients.marked);
        clients
    }

    /// Has servers that would ask with ARP for this address find it here.
    pub(crate) fn own(address: Ipv4Addr) {
        let neighbour = ["lladdr", "52:54:00:00:00:aa", "nud", "permanent", "dev", BRIDGE];
        run("ip", &[&["neighbour", "replace", &address.to_string()][..], &neighbour].concat()).unwrap();
    }

    /// Sends a message, and returns what the server answers; `None` when it has answered what was sent afterwards.
    pub(crate) fn ask(&mut self, packet: &Packet) -> Option<Answer> {
        let asked = self.send(packet);
        let marker = self.send(&Packet::rebind(MARKER, self.marked).broadcast());
        let answer = self.receive(|transaction| transaction == asked || transaction == marker, LIMIT);
        self.server.check_alive();
        let answer = answer.unwrap_or_else(|| panic!("the server does not answer any more, after {packet:?}"));
        (answer.transaction() == asked).then_some(answer)
    }

    /// Goes from DHCPDISCOVER to DHCPACK; the server need not be there yet.
    pub(crate) fn get_address(&mut self, mac: Mac) -> Ipv4Addr {
        let discover = Packet::new(DISCOVER, mac).broadcast();
        let offer = self.insist(&discover);
        self.insist(&Packet::select(mac, offer.yours(), SERVER).broadcast()).yours()
    }

    /// Sends a message until it is answered.
    fn insist(&mut self, packet: &Packet) -> Answer {
        let started = Instant::now();
        while started.elapsed() < LIMIT {
            let asked = self.send(packet);
            if let Some(answer) = self.receive(|transaction| transaction == asked, Duration::from_millis(300)) {
                return answer;
            }
            self.server.check_alive();
        }
        panic!("the server does not answer {packet:?}");
    }

    fn send(&mut self, packet: &Packet) -> u32 {
        self.transaction += 1;
        let frame = frame(packet, &packet.message(self.transaction));
        send(self.link.as_raw_fd(), &frame, MsgFlags::empty()).unwrap();
        self.transaction
    }

    fn receive(&mut self, is_awaited: impl Fn(u32) -> bool, limit: Duration) -> Option<Answer> {
        let started = Instant::now();
        let mut frame = [0; 2048];
        while started.elapsed() < limit {
            let length = match self.link.read(&mut frame) {
                Ok(length) => length,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => continue,
                Err(error) => panic!("cannot read from the link: {error}"),
            };
            if let Some(answer) = read(&frame[..length]).filter(|answer| is_awaited(answer.transaction())) {
                return Some(answer);
            }
        }
        None
    }
}

/// A socket that sends and hears whole frames on this host's only link.
fn open_link() -> OwnedFd {
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll).unwrap();
    setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(50)).unwrap();
    let link = getifaddrs().unwrap().find_map(|interface| {
        let address = interface.address.filter(|address| address.family() == Some(AddressFamily::Packet))?;
        address.as_link_addr().copied().filter(|_| interface.interface_name == "eth0")
    });
    let link: LinkAddr = link.expect("eth0 is there");
    bind(socket.as_raw_fd(), &link).unwrap();
    socket
}

/// Ethernet, IPv4 and UDP around a message.
fn frame(packet: &Packet, message: &[u8]) -> Vec<u8> {
    let hardware = if packet.to == SERVER { SERVERS_MAC } else { [0xff; 6] };
    let mut frame = [&hardware[..], &[0x52, 0x54, 0, 0, 0, 0xaa], &[0x08, 0x00]].concat();
    let length = (message.len() + 28) as u16;
    let mut header = [0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&length.to_be_bytes());
    (header[8], header[9]) = (64, 17);
    header[12..16].copy_from_slice(&packet.from.0.octets());
    header[16..].copy_from_slice(&packet.to.octets());
    let sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    // RFC 1071: the sum's carries come back below, and ten words carry once or twice.
    let folded = (sum >> 16) + (sum & 0xffff);
    let folded = (folded >> 16) + (folded & 0xffff);
    header[10..12].copy_from_slice(&(!folded as u16).to_be_bytes());
    frame.extend(header);
    frame.extend(packet.from.1.to_be_bytes());
    frame.extend(67_u16.to_be_bytes());
    frame.extend((length - 20).to_be_bytes());
    // RFC 768: no checksum.
    frame.extend([0, 0]);
    frame.extend(message);
    frame
}

/// The answer in a frame.
fn read(frame: &[u8]) -> Option<Answer> {
    let packet = frame.get(14..).filter(|_| frame[12..14] == [0x08, 0x00])?;
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let datagram = packet.get(header..).filter(|_| packet.get(9) == Some(&17))?;
    let destination = <[u8; 4]>::try_from(packet.get(16..20)?).ok()?.into();
    let length = usize::from(u16::from_be_bytes([*datagram.get(4)?, *datagram.get(5)?]));
    Answer::read(datagram.get(8..length)?, destination, u16::from_be_bytes([datagram[2], datagram[3]]))
}

/// The bridge's, as [`lab_tests::Namespace`] sets it.
const SERVERS_MAC: Mac = [0x02, 0x70, 0x76, 0x6d, 0x6c, 0x62];
