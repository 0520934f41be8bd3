//! The Ethernet frame around a DHCP message: written from the outside in, and read at fixed offsets.

use std::net::Ipv4Addr;

/// Who sends a frame, which goes to everybody.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    pub(crate) mac: [u8; 6],
    pub(crate) address: Ipv4Addr,
    /// 67 or 68; the other is where the frame goes (RFC 2131 §4.1).
    pub(crate) port: u16,
}

pub(crate) const SERVER_PORT: u16 = 67;
pub(crate) const CLIENT_PORT: u16 = 68;

/// Writes a frame into `octets`, which are empty, around the message that `message` appends.
pub(crate) fn write(from: &Sender, octets: &mut Vec<u8>, message: impl FnOnce(&mut Vec<u8>)) {
    octets.extend([0xff; 6]);
    octets.extend(from.mac);
    octets.extend(IPV4);
    octets.extend([0x45, 0, 0, 0, 0, 0, 0, 0, TTL, UDP, 0, 0]);
    octets.extend(from.address.octets());
    octets.extend(Ipv4Addr::BROADCAST.octets());
    let to = if from.port == CLIENT_PORT { SERVER_PORT } else { CLIENT_PORT };
    octets.extend(from.port.to_be_bytes());
    octets.extend(to.to_be_bytes());
    octets.extend([0; 4]);
    message(octets);

    let length = |start: usize| ((octets.len() - start) as u16).to_be_bytes();
    let (whole, datagram) = (length(ETHERNET), length(ETHERNET + IP));
    octets[16..18].copy_from_slice(&whole);
    octets[38..40].copy_from_slice(&datagram);
    let (_, packet) = octets.split_at_mut(ETHERNET);
    let (header, datagram) = packet.split_at_mut(IP);
    let sum = checksum(sum(header));
    header[10..12].copy_from_slice(&sum);
    // RFC 768: the addresses, the protocol and the length count as well.
    let pseudo = u64::from(UDP) + datagram.len() as u64;
    let sum = checksum(self::sum(&header[12..]) + pseudo + self::sum(datagram));
    datagram[6..8].copy_from_slice(&sum);
}

/// The message in a frame to this port; `None` where there is none.
pub(crate) fn message(frame: &[u8], port: u16) -> Option<&[u8]> {
    let packet = frame.get(ETHERNET..).filter(|_| frame[12..14] == IPV4)?;
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let datagram = packet.get(header..).filter(|_| packet.get(9) == Some(&UDP))?;
    let (header, message) = datagram.split_at_checked(UDP_HEADER)?;
    (header[2..4] == port.to_be_bytes()).then_some(message)
}

/// The octets as numbers of four each, added: what [`checksum`] makes of it is the same as with two each.
fn sum(octets: &[u8]) -> u64 {
    let (whole, rest) = octets.as_chunks::<4>();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    whole.iter().chain([&last]).map(|word| u64::from(u32::from_be_bytes(*word))).sum()
}

/// RFC 1071 §1.
fn checksum(mut sum: u64) -> [u8; 2] {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// RFC 894 §2.
pub(crate) const ETHERNET: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
/// RFC 791 §3.1, without options.
const IP: usize = 20;
const TTL: u8 = 64;
/// RFC 768.
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;

#[cfg(test)]
mod tests {
    use smoltcp::{
        phy::ChecksumCapabilities,
        wire::{EthernetFrame, EthernetProtocol, EthernetRepr, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr},
    };

    use super::*;

    #[test]
    fn another_reads_what_is_written() {
        for text in ["even", "odd octets", "seven..", ""] {
            let mut octets = Vec::new();

            write(&CLIENT, &mut octets, |octets| octets.extend(text.bytes()));

            let frame = EthernetFrame::new_checked(&octets[..]).unwrap();
            let EthernetRepr { src_addr, dst_addr, ethertype } = EthernetRepr::parse(&frame).unwrap();
            assert_eq!((src_addr.0, dst_addr.is_broadcast()), (CLIENT.mac, true));
            assert_eq!(ethertype, EthernetProtocol::Ipv4);
            let packet = Ipv4Packet::new_checked(frame.payload()).unwrap();
            let all = ChecksumCapabilities::default();
            let header = Ipv4Repr::parse(&packet, &all).unwrap();
            assert_eq!((header.src_addr, header.dst_addr), (CLIENT.address, Ipv4Addr::BROADCAST));
            let datagram = UdpPacket::new_checked(packet.payload()).unwrap();
            let ports = UdpRepr::parse(&datagram, &header.src_addr.into(), &header.dst_addr.into(), &all).unwrap();
            assert_eq!((ports.src_port, ports.dst_port), (CLIENT_PORT, SERVER_PORT));
            assert_ne!(datagram.checksum(), 0, "the sender has made one");
            assert_eq!(datagram.payload(), text.as_bytes());
        }
    }

    #[test]
    fn a_message_is_read_at_its_port_alone() {
        let mut octets = Vec::new();
        write(&CLIENT, &mut octets, |octets| octets.extend(b"message"));

        assert_eq!(message(&octets, SERVER_PORT), Some(&b"message"[..]));
        assert_eq!(message(&octets, CLIENT_PORT), None);
        for length in 0..octets.len() - "message".len() {
            assert_eq!(message(&octets[..length], SERVER_PORT), None, "{length}");
        }
    }

    const CLIENT: Sender = Sender { mac: [0x52, 0x54, 0, 0, 0, 7], address: Ipv4Addr::UNSPECIFIED, port: CLIENT_PORT };
}
