//! The Ethernet frame of a reply to a client that has no address yet (RFC 2131 §4.1).
//!
//! The kernel sends no datagram to an address that answers no ARP, and gives this machine a copy of each that it broadcasts. A frame
//! goes to the client and nobody else.
//!
//! Deliberately not here: fragments. What an Ethernet frame does not carry is never in a reply.

use std::net::Ipv4Addr;

use lab_model::MacAddr;

use super::Destination;

/// Who sends frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSender {
    /// The hardware address of the interface that they leave by.
    pub mac: MacAddr,
    /// The server's address.
    pub address: Ipv4Addr,
}

/// Ethernet's header, one of IPv4 without options (RFC 791 §3.1), and UDP's (RFC 768).
const HEADERS: usize = ETHERNET + IP + UDP;
const ETHERNET: usize = 14;
const IP: usize = 20;
const UDP: usize = 8;

/// The EtherType of IPv4 (RFC 894).
const IPV4: [u8; 2] = [0x08, 0x00];
/// RFC 791 §3.1: version 4, and a header of five words.
const VERSION_AND_LENGTH: u8 = 0x45;
/// RFC 791 §3.1: it is not to be divided; RFC 6864 §4.1: so it needs no identification.
const WHOLE: [u8; 2] = [0x40, 0x00];
/// RFC 1700: what a datagram has to live by default.
const TIME_TO_LIVE: u8 = 64;
/// RFC 768.
const UDP_NUMBER: u8 = 17;
/// RFC 2131 §4.1: the server's port, and the clients'.
const PORTS: [[u8; 2]; 2] = [67_u16.to_be_bytes(), 68_u16.to_be_bytes()];

impl FrameSender {
    /// What goes before `message` in a frame to a client on this link; `None` where the reply goes to an address that somebody has.
    ///
    /// # Panics
    /// The message is longer than any datagram.
    pub fn headers(&self, destination: Destination, message: &[u8]) -> Option<[u8; HEADERS]> {
        let (mac, address) = match destination {
            Destination::Broadcast => (MacAddr::new([0xff; 6]), Ipv4Addr::BROADCAST),
            Destination::Hardware { mac, address } => (mac, address),
            Destination::Relay(_) | Destination::Unicast(_) | Destination::Sender(_) => return None,
        };
        let length = |headers: usize| {
            u16::try_from(headers + message.len()).expect("a message is shorter than a frame").to_be_bytes()
        };
        let (source, target) = (self.address.octets(), address.octets());
        let [from, to] = PORTS;
        let fixed = [VERSION_AND_LENGTH, 0];
        let kind = [TIME_TO_LIVE, UDP_NUMBER];
        let ip = checksum(&[&fixed, &length(IP + UDP), &WHOLE, &kind, &source, &target]);
        // RFC 768: over a header of its own, which is never sent, and what is sent; zero would mean that there is none.
        let pseudo: [&[u8]; 4] = [&source, &target, &[0, UDP_NUMBER], &length(UDP)];
        let udp = match checksum(&[pseudo.as_slice(), &[&from, &to, &length(UDP), message]].concat()) {
            0 => u16::MAX,
            sum => sum,
        };
        let parts: [&[u8]; 14] = [
            &mac.bytes(),
            &self.mac.bytes(),
            &IPV4,
            &fixed,
            &length(IP + UDP),
            &[0, 0],
            &WHOLE,
            &kind,
            &ip.to_be_bytes(),
            &source,
            &target,
            &[from, to].concat(),
            &length(UDP),
            &udp.to_be_bytes(),
        ];
        let mut headers = [0; HEADERS];
        headers.iter_mut().zip(parts.into_iter().flatten()).for_each(|(place, byte)| *place = *byte);
        Some(headers)
    }
}

/// The Internet checksum (RFC 1071) of these parts, of which all but the last have an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let sum = parts.iter().map(|part| {
        let (words, last) = part.as_chunks::<2>();
        let last = last.first().map_or(0, |byte| u64::from(*byte) << 8);
        words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum::<u64>() + last
    });
    let mut sum: u64 = sum.sum();
    while sum > u64::from(u16::MAX) {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SENDER: FrameSender =
        FrameSender { mac: MacAddr::new([2, 0, 0, 0, 0, 1]), address: Ipv4Addr::new(10, 77, 0, 1) };

    #[test]
    fn a_client_without_an_address_is_reached_by_its_hardware_address() {
        let (mac, address) = (MacAddr::new([2, 0, 0, 0, 0, 9]), Ipv4Addr::new(10, 77, 0, 50));

        let headers = SENDER.headers(Destination::Hardware { mac, address }, &[0xab, 0xcd, 0xef]);

        let ethernet = [2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 8, 0];
        let ip = [0x45, 0, 0, 31, 0, 0, 0x40, 0, 64, 17, 0x26, 0x02, 10, 77, 0, 1, 10, 77, 0, 50];
        let udp = [0, 67, 0, 68, 0, 11, 0x4f, 0xb6];
        assert_eq!(headers, Some([&ethernet[..], &ip, &udp].concat().try_into().expect("all headers")));
    }

    #[test]
    fn everybody_is_reached_by_a_broadcast() {
        let headers = SENDER.headers(Destination::Broadcast, &[0; 300]).expect("a frame");

        assert_eq!((&headers[..6], &headers[30..34]), (&[0xff; 6][..], &[0xff; 4][..]));
        assert_eq!(headers[16..18], (300_u16 + 28).to_be_bytes());
    }

    #[test]
    fn whoever_has_an_address_is_left_to_the_kernel() {
        let somebody = Ipv4Addr::new(10, 77, 0, 50);

        for destination in [Destination::Relay(somebody), Destination::Unicast(somebody)] {
            assert_eq!(SENDER.headers(destination, &[0; 300]), None);
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_rfcs_example() {
        // RFC 1071 §3.
        assert_eq!(checksum(&[&[0x00, 0x01, 0xf2, 0x03], &[0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
    }

    proptest! {
        #[test]
        fn every_receiver_finds_the_checksums_right(message in prop::collection::vec(any::<u8>(), 0..1472), host: [u8; 4]) {
            let destination = Destination::Hardware { mac: MacAddr::new([2; 6]), address: host.into() };

            let headers = SENDER.headers(destination, &message).expect("a frame");

            let (ip, udp) = headers[ETHERNET..].split_at(IP);
            prop_assert_eq!(checksum(&[ip]), 0);
            // The addresses, the protocol, and the length again: RFC 768's pseudo-header.
            prop_assert_eq!(checksum(&[&ip[12..], &[0, UDP_NUMBER], &udp[4..6], udp, &message]), 0);
            prop_assert_ne!(&udp[6..], &[0, 0]);
        }
    }
}
