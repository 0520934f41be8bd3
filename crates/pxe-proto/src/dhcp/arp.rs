//! ARP (RFC 826), as far as it tells whether some host has an address (RFC 5227).

use std::net::Ipv4Addr;

use lab_model::MacAddr;

/// Who says that an address is theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub address: Ipv4Addr,
    /// Whose hardware address the claim has.
    pub holder: MacAddr,
}

/// An Ethernet header, and ARP for IPv4 over Ethernet.
const FRAME: usize = 14 + 28;

/// How the frame goes on behind the two hardware addresses, up to the operation: EtherType 0x0806, Ethernet, IPv4, and their
/// addresses of six and four bytes.
const KIND: [u8; 8] = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4];

/// RFC 826: who has it?
const REQUEST: u16 = 1;

/// RFC 826: it is mine.
const REPLY: u16 = 2;

/// The Ethernet frame by which the interface `own` asks everyone whether they have the address.
///
/// RFC 5227 §2.1.1: it names no sender, so nobody takes it for a claim of ours.
pub fn probe(own: MacAddr, address: Ipv4Addr) -> [u8; FRAME] {
    let parts: [&[u8]; 8] = [
        &[0xff; 6],
        &own.bytes(),
        &KIND,
        &REQUEST.to_be_bytes(),
        &own.bytes(),
        &Ipv4Addr::UNSPECIFIED.octets(),
        &[0; 6],
        &address.octets(),
    ];
    let mut frame = [0; FRAME];
    frame.iter_mut().zip(parts.into_iter().flatten()).for_each(|(place, byte)| *place = *byte);
    frame
}

/// Reads an Ethernet frame that somebody else sent: a reply, or a request by which its sender says what it is called
/// (RFC 5227 §2.1.1). `None` where it claims nothing, as the probe of a host that has no address yet.
pub fn claim(frame: &[u8]) -> Option<Claim> {
    let frame = frame.get(12..FRAME)?;
    let (kind, rest) = frame.split_first_chunk()?;
    let (operation, rest) = rest.split_first_chunk()?;
    let (holder, rest) = rest.split_first_chunk()?;
    let (address, _) = rest.split_first_chunk::<4>()?;
    let (address, holder) = (Ipv4Addr::from(*address), MacAddr::new(*holder));
    let is_arp = *kind == KIND && [REQUEST, REPLY].contains(&u16::from_be_bytes(*operation));
    (is_arp && !address.is_unspecified() && holder.is_unicast()).then_some(Claim { address, holder })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
    const OTHER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 9]);
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 9);

    /// A reply as Linux sends it, padded to what Ethernet carries at least.
    fn reply() -> Vec<u8> {
        let arp = [&OTHER.bytes()[..], &[10, 77, 0, 9], &OWN.bytes(), &[0; 4]].concat();
        let header = [&OWN.bytes()[..], &OTHER.bytes(), &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]].concat();
        [header, arp, vec![0; 18]].concat()
    }

    #[test]
    fn a_probe_asks_everyone_and_claims_nothing() {
        let frame = probe(OWN, ADDRESS);

        let ethernet = [&[0xff; 6][..], &OWN.bytes(), &[8, 6]].concat();
        let arp = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &OWN.bytes(), &[0; 4], &[0; 6], &[10, 77, 0, 9]].concat();
        assert_eq!(frame[..], [ethernet, arp].concat());
        assert_eq!(claim(&frame), None);
    }

    #[test]
    fn a_reply_and_a_request_are_claims_of_their_sender() {
        let expected = Some(Claim { address: ADDRESS, holder: OTHER });
        let mut request = reply();
        request[21] = 1;

        assert_eq!((claim(&reply()), claim(&request)), (expected, expected));
    }

    #[test]
    fn what_is_no_arp_claims_nothing() {
        let frame = reply();

        assert!((0..FRAME).all(|length| claim(&frame[..length]).is_none()));
        // The kind, the operation, a group's hardware address, and no address.
        for (at, byte) in [(12, 9), (13, 0), (15, 6), (17, 1), (18, 8), (19, 6), (21, 3), (20, 1), (22, 3)] {
            let mut other = frame.clone();
            other[at] = byte;
            assert_eq!(claim(&other), None, "{at}");
        }
        let mut nobody = frame;
        nobody[28..32].fill(0);
        assert_eq!(claim(&nobody), None);
    }
}
