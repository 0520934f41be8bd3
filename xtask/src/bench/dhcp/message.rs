//! What the DHCP client of a PXE firmware says, and what it hears (RFC 2131, RFC 4578), as bytes.

use std::net::Ipv4Addr;

/// What a client sends. The numbers stand for hardware addresses, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// DHCPDISCOVER.
    Discover,
    /// DHCPREQUEST of a client that has chosen this offer.
    Request { address: Ipv4Addr, server: Ipv4Addr },
}

/// What a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) kind: Kind,
    pub(crate) xid: u32,
    /// The client's (`yiaddr`).
    pub(crate) address: Ipv4Addr,
    pub(crate) server: Ipv4Addr,
}

/// RFC 2132 §9.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Offer,
    Ack,
    Nak,
}

/// The octets of a message to a server.
pub(crate) fn write(question: Question, client: u32, xid: u32) -> Vec<u8> {
    let mut message = Vec::new();
    append(question, client, xid, &mut message);
    message
}

/// Writes a message to a server after what is there, with the broadcast flag, which EDK2 sets too.
pub(crate) fn append(question: Question, client: u32, xid: u32, octets: &mut Vec<u8>) {
    let start = octets.len();
    octets.resize(start + HEADER, 0);
    let header = &mut octets[start..];
    // BOOTREQUEST, Ethernet, six octets of hardware address.
    header[..3].copy_from_slice(&[1, 1, 6]);
    header[4..8].copy_from_slice(&xid.to_be_bytes());
    header[10] = 0x80;
    header[28..34].copy_from_slice(&mac(client));
    octets.extend(COOKIE);
    match question {
        Question::Discover => octets.extend([53, 1, 1]),
        Question::Request { address, server } => {
            octets.extend([53, 1, 3, 50, 4]);
            octets.extend(address.octets());
            octets.extend([54, 4]);
            octets.extend(server.octets());
        }
    }
    octets.extend(FIRMWARE);
    octets.push(255);
    octets.resize(octets.len().max(start + BOOTP), 0);
}

/// What a datagram says; `None` where it is no answer.
pub(crate) fn read(datagram: &[u8]) -> Option<Answer> {
    let (header, options) = datagram.split_at_checked(HEADER)?;
    // BOOTREPLY.
    let mut options = options.strip_prefix(&COOKIE).filter(|_| header[0] == 2)?;
    let (mut kind, mut server) = (None, Ipv4Addr::UNSPECIFIED);
    while let [code, rest @ ..] = options {
        options = rest;
        match code {
            0 => continue,
            255 => break,
            _ => {}
        }
        let (length, rest) = options.split_first()?;
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        options = rest;
        match (code, value) {
            (53, [2]) => kind = Some(Kind::Offer),
            (53, [5]) => kind = Some(Kind::Ack),
            (53, [6]) => kind = Some(Kind::Nak),
            (54, &[a, b, c, d]) => server = Ipv4Addr::new(a, b, c, d),
            _ => {}
        }
    }
    let xid = u32::from_be_bytes(header[4..8].try_into().ok()?);
    let address: [u8; 4] = header[16..20].try_into().ok()?;
    Some(Answer { kind: kind?, xid, address: address.into(), server })
}

/// A hardware address that is locally administered, as those of virtual machines are.
pub(crate) fn mac(client: u32) -> [u8; 6] {
    let [a, b, c, d] = client.to_be_bytes();
    [0x52, 0x54, a, b, c, d]
}

/// RFC 2131 §2, figure 1, up to `file`.
const HEADER: usize = 236;
/// RFC 2131 §3.
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
/// RFC 1542 §2.1: what a BOOTP relay agent takes at least.
const BOOTP: usize = 300;

/// The options that EDK2 sends beside those: the longest message, what it asks for, its architecture, its UNDI version, its kind.
const FIRMWARE: &[u8] = b"\x39\x02\x05\xc0\
\x37\x0a\x01\x03\x06\x0c\x0f\x2b\x36\x3c\x42\x43\
\x5d\x02\x00\x07\
\x5e\x03\x01\x03\x10\
\x3c\x20PXEClient:Arch:00007:UNDI:003016";

#[cfg(test)]
mod tests {
    use pxe_proto::dhcp::Request;

    use super::*;

    #[test]
    fn a_server_understands_what_a_client_says() {
        let chosen = Question::Request { address: [10, 77, 8, 1].into(), server: [10, 77, 0, 1].into() };

        for question in [Question::Discover, chosen] {
            let packet = write(question, 7, 1);

            assert!(Request::parse(&packet).is_ok(), "{question:?}");
            assert_eq!(packet.len(), BOOTP.max(packet.len()));
        }
    }

    #[test]
    fn an_answer_is_read_and_what_is_none_is_not() {
        let mut packet = write(Question::Discover, 7, 0x0102_0304);
        assert_eq!(read(&packet), None);

        packet[0] = 2;
        packet[16..20].copy_from_slice(&[10, 77, 8, 1]);
        packet.splice(HEADER + 4..HEADER + 7, [53, 1, 5, 54, 4, 10, 77, 0, 1]);

        let (address, server) = ([10, 77, 8, 1].into(), [10, 77, 0, 1].into());
        assert_eq!(read(&packet), Some(Answer { kind: Kind::Ack, xid: 0x0102_0304, address, server }));
        for length in 0..HEADER + 7 {
            assert_eq!(read(&packet[..length]), None, "{length}");
        }
    }
}
