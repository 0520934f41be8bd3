//! A host on the lab's network that asks the provisioner for everything a machine boots with, until it has it.
//!
//! It asks as machines do, by broadcast and from outside, so that what counts is what a machine gets: an offer, a block of a boot
//! program, a boot script. Its TCP/IP is smoltcp's: an emulated network has no interface on the host.

use std::{
    net::Ipv4Addr,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use lab_model::MacAddr;
use lab_tests::{NEIGHBOUR, SERVER, network};
use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    socket::{tcp, udp},
    wire::{
        ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpCidr,
        IpEndpoint,
    },
};

use super::wire::{Frame, Wire};

/// The host.
pub(super) struct Neighbour {
    wire: Wire,
    interface: Interface,
    sockets: SocketSet<'static>,
    dhcp: SocketHandle,
    tftp: SocketHandle,
    http: Http,
}

/// When the provisioner answered first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answers {
    /// By ARP: its interface on the lab's network has its address.
    pub(super) network: Instant,
    /// By the last of DHCP, TFTP and HTTP.
    pub(super) service: Instant,
}

/// Which protocols have answered.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    network: Option<Instant>,
    dhcp: Option<Instant>,
    tftp: Option<Instant>,
    http: Option<Instant>,
}

impl Neighbour {
    /// Plugs the host in at the other end of `stream`.
    ///
    /// # Errors
    /// The stream cannot be used.
    pub(super) fn plug_in(stream: UnixStream) -> Result<Self> {
        let mut wire = Wire::new(stream)?;
        let config = Config::new(EthernetAddress(MAC.bytes()).into());
        let mut interface = Interface::new(config, &mut wire, smoltcp::time::Instant::now());
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(NEIGHBOUR.into(), network().prefix())).expect("there is room for one address");
        });
        let mut sockets = SocketSet::new(Vec::new());
        let dhcp = sockets.add(datagrams(68)?);
        let tftp = sockets.add(datagrams(TFTP_PORT)?);
        let buffer = || tcp::SocketBuffer::new(vec![0; 4096]);
        let http = Http::new(sockets.add(tcp::Socket::new(buffer(), buffer())));
        Ok(Self { wire, interface, sockets, dhcp, tftp, http })
    }

    /// Asks until there is an answer to everything.
    ///
    /// # Errors
    /// The provisioner is switched off, or there are answers missing after `limit`; the message says which.
    pub(super) fn ask(mut self, limit: Duration) -> Result<Answers> {
        let mut seen = Seen::default();
        let begun = Instant::now();
        loop {
            ensure!(begun.elapsed() < limit, "no answer after {limit:?}: {}", seen.missing());
            self.send(&seen)?;
            let asked = Instant::now();
            while asked.elapsed() < INTERVAL {
                self.wire.wait(INTERVAL.saturating_sub(asked.elapsed()), |frame| seen.notice(frame))?;
                self.interface.poll(smoltcp::time::Instant::now(), &mut self.wire, &mut self.sockets);
                self.receive(&mut seen);
                // What an answer led to: the next packet of a connection.
                self.interface.poll(smoltcp::time::Instant::now(), &mut self.wire, &mut self.sockets);
            }
            if let Some(answers) = seen.answers() {
                return Ok(answers);
            }
        }
    }

    /// Every question that has no answer yet.
    fn send(&mut self, seen: &Seen) -> Result<()> {
        if seen.network.is_none() {
            return self.wire.send(&who_has(SERVER)).context("the lab's network was switched off");
        }
        if seen.dhcp.is_none() {
            let everybody = (Ipv4Addr::BROADCAST, 67);
            self.sockets.get_mut::<udp::Socket>(self.dhcp).send_slice(&discover(), everybody)?;
        }
        if seen.tftp.is_none() {
            let socket = self.sockets.get_mut::<udp::Socket>(self.tftp);
            // As long as nobody has the address the queue is not sent.
            let _ = socket.send_slice(READ_REQUEST, (SERVER, 69));
        }
        if seen.http.is_none() {
            self.http.connect(&mut self.interface, &mut self.sockets)?;
        }
        self.interface.poll(smoltcp::time::Instant::now(), &mut self.wire, &mut self.sockets);
        Ok(())
    }

    fn receive(&mut self, seen: &mut Seen) {
        let socket = self.sockets.get_mut::<udp::Socket>(self.dhcp);
        while let Ok((packet, _)) = socket.recv() {
            if packet.len() >= 240 && packet[0] == BOOTREPLY && packet[28..34] == MAC.bytes() {
                seen.dhcp.get_or_insert_with(Instant::now);
            }
        }
        let socket = self.sockets.get_mut::<udp::Socket>(self.tftp);
        let mut over: Vec<IpEndpoint> = Vec::new();
        while let Ok((packet, from)) = socket.recv() {
            if packet.starts_with(&TFTP_DATA) {
                seen.tftp.get_or_insert_with(Instant::now);
                over.push(from.endpoint);
            }
        }
        for transfer in over {
            // RFC 1350 §7: the transfer ends here, so that the server does not send the block again.
            let _ = socket.send_slice(b"\0\x05\0\0enough\0", transfer);
        }
        if seen.http.is_none() && self.http.is_answered(&mut self.sockets) {
            seen.http = Some(Instant::now());
        }
    }
}

const MAC: MacAddr = super::CLIENT;

/// Small beside what is measured, and no load for an emulated processor.
const INTERVAL: Duration = Duration::from_millis(100);
const TFTP_PORT: u16 = 2069;
/// RFC 1350 §5, opcode 1.
const READ_REQUEST: &[u8] = b"\0\x01ipxe-arm64.efi\0octet\0";
/// RFC 1350 §5, opcode 3.
const TFTP_DATA: [u8; 2] = [0, 3];
/// RFC 2131 §2, `op`.
const BOOTREPLY: u8 = 2;

impl Seen {
    /// A packet of the provisioner's own tells that it has its address; whoever still tries an address sends from none.
    fn notice(&mut self, frame: &Frame) {
        if self.network.is_none() && arp_sender(&frame.bytes) == Some(SERVER) {
            self.network = Some(frame.at);
        }
    }

    fn answers(&self) -> Option<Answers> {
        let service = self.dhcp?.max(self.tftp?).max(self.http?);
        Some(Answers { network: self.network?, service })
    }

    fn missing(&self) -> String {
        let each = [("ARP", self.network), ("DHCP", self.dhcp), ("TFTP", self.tftp), ("HTTP", self.http)];
        let missing: Vec<_> = each.iter().filter(|(_, at)| at.is_none()).map(|(name, _)| *name).collect();
        missing.join(", ")
    }
}

/// Asks for a boot script, one connection at a time.
struct Http {
    socket: SocketHandle,
    /// A connection that was refused has taken its port with it.
    port: u16,
    asked: bool,
    reply: Vec<u8>,
}

impl Http {
    fn new(socket: SocketHandle) -> Self {
        Self { socket, port: FIRST_PORT, asked: false, reply: Vec::new() }
    }

    fn connect(&mut self, interface: &mut Interface, sockets: &mut SocketSet<'_>) -> Result<()> {
        let socket = sockets.get_mut::<tcp::Socket>(self.socket);
        if socket.is_open() {
            return Ok(());
        }
        self.port = self.port.checked_add(1).unwrap_or(FIRST_PORT);
        self.asked = false;
        self.reply.clear();
        socket.connect(interface.context(), (SERVER, 80), self.port).context("cannot connect")
    }

    /// Whether a script has come; a connection with another answer, as of a proxy without its server, is given up.
    fn is_answered(&mut self, sockets: &mut SocketSet<'_>) -> bool {
        let socket = sockets.get_mut::<tcp::Socket>(self.socket);
        if socket.may_send() && !self.asked {
            let request =
                format!("GET /ipxe?mac={MAC}&arch=arm64 HTTP/1.1\r\nHost: {SERVER}\r\nConnection: close\r\n\r\n");
            self.asked = socket.send_slice(request.as_bytes()).is_ok();
        }
        while socket.can_recv() {
            let _ = socket.recv(|bytes| {
                self.reply.extend_from_slice(bytes);
                (bytes.len(), ())
            });
        }
        let reply = String::from_utf8_lossy(&self.reply);
        if reply.starts_with("HTTP/1.1 200 ") && reply.contains("#!ipxe") {
            return true;
        }
        if self.asked && !socket.may_recv() {
            socket.abort();
        }
        false
    }
}

const FIRST_PORT: u16 = 49_152;

fn datagrams(port: u16) -> Result<udp::Socket<'static>> {
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 16], vec![0; 16 * 1500]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(port).context("cannot bind")?;
    Ok(socket)
}

/// The sender's address in an ARP packet.
fn arp_sender(frame: &[u8]) -> Option<Ipv4Addr> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Arp {
        return None;
    }
    let ArpRepr::EthernetIpv4 { source_protocol_addr, .. } =
        ArpRepr::parse(&ArpPacket::new_checked(frame.payload()).ok()?).ok()?
    else {
        return None;
    };
    Some(source_protocol_addr)
}

/// RFC 826's question. smoltcp's own comes no more often than once a second.
fn who_has(address: Ipv4Addr) -> Vec<u8> {
    let mac = EthernetAddress(MAC.bytes());
    let arp = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: mac,
        source_protocol_addr: NEIGHBOUR,
        target_hardware_addr: EthernetAddress::default(),
        target_protocol_addr: address,
    };
    let ethernet =
        EthernetRepr { src_addr: mac, dst_addr: EthernetAddress::BROADCAST, ethertype: EthernetProtocol::Arp };
    let mut frame = EthernetFrame::new_unchecked(vec![0; ethernet.buffer_len() + arp.buffer_len()]);
    ethernet.emit(&mut frame);
    arp.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    frame.into_inner()
}

/// DHCPDISCOVER of [`MAC`], firmware of an Arm machine, with the broadcast flag (RFC 2131 §2, §4.1), padded to what a BOOTP relay
/// takes.
fn discover() -> Vec<u8> {
    let mut packet = vec![0; 236];
    // BOOTREQUEST, Ethernet, six bytes of hardware address.
    packet[..3].copy_from_slice(&[1, 1, 6]);
    packet[4..8].copy_from_slice(b"pvml");
    packet[10] = 0x80;
    packet[28..34].copy_from_slice(&MAC.bytes());
    packet.extend([0x63, 0x82, 0x53, 0x63, 53, 1, 1, 93, 2, 0, 11, 255]);
    packet.resize(300, 0);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_by_arp_says_who_it_is() {
        assert_eq!(arp_sender(&who_has(SERVER)), Some(NEIGHBOUR));
        assert_eq!(arp_sender(b"short"), None);
    }

    #[test]
    fn a_provisioner_that_is_switched_off_is_no_answer() {
        let (near, far) = UnixStream::pair().unwrap();
        let neighbour = Neighbour::plug_in(near).unwrap();

        drop(far);

        assert!(neighbour.ask(Duration::from_secs(60)).is_err());
    }

    #[test]
    fn a_silent_provisioner_is_told_by_what_is_missing() {
        let (near, _far) = UnixStream::pair().unwrap();
        let neighbour = Neighbour::plug_in(near).unwrap();

        let error = neighbour.ask(Duration::ZERO).unwrap_err().to_string();

        assert_eq!(error, "no answer after 0ns: ARP, DHCP, TFTP, HTTP");
    }
}
