//! What came in on an uplink: frames that an emulator has written down.

use std::{fs::File, path::Path};

use anyhow::{Context, Result};
use pcap_file::pcap::PcapReader;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket, UdpPacket};

/// How many bytes the frames in the file `record` have that the system behind it asked somebody outside for.
///
/// Not counted: what it needs to have an address at all (ARP, DHCP, router advertisements), what it sends itself, and the host's own
/// logins.
///
/// # Errors
/// There is no record.
pub(super) fn fetched(record: &Path) -> Result<u64> {
    let file = File::open(record).with_context(|| format!("cannot open {}", record.display()))?;
    let mut packets = PcapReader::new(file).with_context(|| format!("{} is no record", record.display()))?;
    let mut bytes = 0;
    // The emulator may be writing the last one.
    while let Some(Ok(packet)) = packets.next_packet() {
        if is_fetched(&packet.data) {
            bytes += u64::from(packet.orig_len);
        }
    }
    Ok(bytes)
}

fn is_fetched(frame: &[u8]) -> bool {
    let Ok(frame) = EthernetFrame::new_checked(frame) else { return false };
    if !frame.src_addr().as_bytes().starts_with(&OUTSIDE) {
        return false;
    }
    match frame.ethertype() {
        EthernetProtocol::Ipv4 => Ipv4Packet::new_checked(frame.payload()).is_ok_and(|packet| is_content(&packet)),
        // The emulator answers by IPv6 with advertisements alone, unless the host has IPv6 itself.
        EthernetProtocol::Ipv6 => frame.payload().get(6) != Some(&ICMPV6),
        EthernetProtocol::Arp | EthernetProtocol::Unknown(_) => false,
    }
}

/// How the hardware addresses begin of whoever QEMU's user networking pretends to be.
const OUTSIDE: [u8; 2] = [0x52, 0x55];

/// RFC 8200 §3, Next Header.
const ICMPV6: u8 = 58;

fn is_content(packet: &Ipv4Packet<&[u8]>) -> bool {
    match packet.next_header() {
        IpProtocol::Udp => {
            UdpPacket::new_checked(packet.payload()).is_ok_and(|datagram| datagram.dst_port() != DHCP_CLIENT)
        }
        IpProtocol::Tcp => TcpPacket::new_checked(packet.payload()).is_ok_and(|segment| segment.dst_port() != SSH),
        _ => true,
    }
}

const DHCP_CLIENT: u16 = 68;
const SSH: u16 = 22;

#[cfg(test)]
mod tests {
    use smoltcp::wire::{EthernetAddress, EthernetRepr};

    use super::*;

    #[test]
    fn what_a_server_sends_is_fetched_and_what_configures_an_address_is_not() {
        assert!(is_fetched(&frame(0x55, &datagram(53, 40_000))));
        assert!(is_fetched(&frame(0x55, &segment(443, 40_000))));
        assert!(!is_fetched(&frame(0x55, &datagram(67, 68))));
        assert!(!is_fetched(&frame(0x55, &segment(40_000, 22))));
    }

    #[test]
    fn what_the_system_sends_itself_is_not_fetched() {
        assert!(!is_fetched(&frame(0x54, &datagram(40_000, 53))));
        assert!(!is_fetched(b"short"));
    }

    fn frame(second_byte: u8, packet: &[u8]) -> Vec<u8> {
        let ethernet = EthernetRepr {
            src_addr: EthernetAddress([0x52, second_byte, 0x0a, 0, 2, 2]),
            dst_addr: EthernetAddress::BROADCAST,
            ethertype: EthernetProtocol::Ipv4,
        };
        let mut frame = EthernetFrame::new_unchecked(vec![0; ethernet.buffer_len() + packet.len()]);
        ethernet.emit(&mut frame);
        frame.payload_mut().copy_from_slice(packet);
        frame.into_inner()
    }

    fn datagram(from: u16, to: u16) -> Vec<u8> {
        let mut packet = packet(17, 8);
        packet[20..22].copy_from_slice(&from.to_be_bytes());
        packet[22..24].copy_from_slice(&to.to_be_bytes());
        packet[25] = 8;
        packet
    }

    fn segment(from: u16, to: u16) -> Vec<u8> {
        let mut packet = packet(6, 20);
        packet[20..22].copy_from_slice(&from.to_be_bytes());
        packet[22..24].copy_from_slice(&to.to_be_bytes());
        packet[32] = 5 << 4;
        packet
    }

    /// RFC 791 §3.1: version 4, a header of 20 bytes.
    fn packet(protocol: u8, payload: u8) -> Vec<u8> {
        let mut packet = vec![0; 20 + usize::from(payload)];
        packet[0] = 0x45;
        packet[3] = 20 + payload;
        packet[9] = protocol;
        packet
    }
}
