//! What a machine asks that has just joined the link.

use std::net::Ipv6Addr;

use super::Ignored;

/// Whether the packet is a router solicitation (RFC 4861 §4.1) that came from this link; `packet` begins with its ICMPv6 header,
/// whose checksum the kernel has verified.
pub(super) fn check(packet: &[u8], sender: Ipv6Addr, hop_limit: Option<u8>) -> Result<(), Ignored> {
    let kind = *packet.first().ok_or(Ignored::TooShort(0))?;
    if kind != SOLICITATION {
        return Err(Ignored::NotASolicitation(kind));
    }
    if hop_limit != Some(HOP_LIMIT) {
        return Err(Ignored::FromElsewhere(hop_limit));
    }
    let mut options = packet.get(HEADER..).ok_or(Ignored::TooShort(packet.len()))?;
    if packet[1] != 0 {
        return Err(Ignored::Code(packet[1]));
    }
    if sender.is_multicast() {
        return Err(Ignored::Sender(sender));
    }
    while let [kind, length, ..] = *options {
        let length = usize::from(length) * UNIT;
        options = options.get(length..).filter(|_| length > 0).ok_or(Ignored::MalformedOption)?;
        if kind == SOURCE_LINK_LAYER_ADDRESS && sender.is_unspecified() {
            return Err(Ignored::LinkLayerAddressOfNobody);
        }
    }
    if options.is_empty() { Ok(()) } else { Err(Ignored::MalformedOption) }
}

/// RFC 4861 §4.1.
const SOLICITATION: u8 = 133;

/// RFC 4861 §4.1: type, code, checksum and four reserved bytes.
const HEADER: usize = 8;

/// RFC 4861 §6.1.1: no router can have forwarded it.
const HOP_LIMIT: u8 = 255;

/// RFC 4861 §4.6: lengths of options count in these.
const UNIT: usize = 8;

/// RFC 4861 §4.6.1.
const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_machine_may_ask_before_and_after_it_has_an_address() {
        assert_eq!(check(&PLAIN, Ipv6Addr::UNSPECIFIED, Some(255)), Ok(()));
        assert_eq!(check(&WITH_MAC, NEIGHBOUR, Some(255)), Ok(()));
    }

    #[test]
    fn what_is_no_solicitation_of_a_neighbour_is_ignored() {
        let with = |at: usize, value: u8| {
            let mut packet = WITH_MAC;
            packet[at] = value;
            packet
        };

        for (packet, sender, hop_limit, reason) in [
            (&[][..], NEIGHBOUR, Some(255), Ignored::TooShort(0)),
            (&PLAIN[..7], NEIGHBOUR, Some(255), Ignored::TooShort(7)),
            (&with(0, 128), NEIGHBOUR, Some(255), Ignored::NotASolicitation(128)),
            (&PLAIN, NEIGHBOUR, Some(254), Ignored::FromElsewhere(Some(254))),
            (&PLAIN, NEIGHBOUR, None, Ignored::FromElsewhere(None)),
            (&with(1, 1), NEIGHBOUR, Some(255), Ignored::Code(1)),
            (&with(9, 0), NEIGHBOUR, Some(255), Ignored::MalformedOption),
            (&with(9, 2), NEIGHBOUR, Some(255), Ignored::MalformedOption),
            (&WITH_MAC[..9], NEIGHBOUR, Some(255), Ignored::MalformedOption),
            (&WITH_MAC, Ipv6Addr::UNSPECIFIED, Some(255), Ignored::LinkLayerAddressOfNobody),
            (&PLAIN, ALL_NODES, Some(255), Ignored::Sender(ALL_NODES)),
        ] {
            assert_eq!(check(packet, sender, hop_limit), Err(reason));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_harm_nobody(packet in prop::collection::vec(any::<u8>(), 0..200), kind in any::<bool>()) {
            let mut packet = packet;
            if let Some(first) = packet.first_mut().filter(|_| kind) {
                *first = SOLICITATION;
            }
            let _ = check(&packet, NEIGHBOUR, Some(255));
        }
    }

    const NEIGHBOUR: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
    const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    const PLAIN: [u8; 8] = [133, 0, 0, 0, 0, 0, 0, 0];
    const WITH_MAC: [u8; 16] = [133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0x52, 0x54, 0, 0, 0, 1];
}
