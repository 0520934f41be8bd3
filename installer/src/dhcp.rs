//! The DHCP client's messages (RFC 2131, RFC 2132), and what is read out of the answers.
//!
//! Deliberately not here: a probe for the address by ARP (RFC 2131 §2.2 leaves it to the client), and DHCPRELEASE: the installed
//! system takes the same address over.

use std::net::Ipv4Addr;
use std::time::Duration;

use lab_model::{Ipv4Net, MacAddr, VENDOR_CLASS};

/// The client's port.
pub const CLIENT_PORT: u16 = 68;

/// The server's port.
pub const SERVER_PORT: u16 = 67;

/// Who asks, and in which exchange.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The interface's hardware address.
    pub mac: MacAddr,
    /// The number that ties answers to this exchange.
    pub transaction: u32,
}

/// What a server gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address with its prefix.
    pub address: Ipv4Net,
    /// The way out of the network.
    pub router: Option<Ipv4Addr>,
    /// Who gave it.
    pub server: Ipv4Addr,
    /// How long it may be used; `None`: for ever.
    pub lifetime: Option<Lifetime>,
}

/// A lease's times, counted from when it was asked for (RFC 2131 §4.4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// When its server is asked to renew it.
    pub renew: Duration,
    /// When any server is asked.
    pub rebind: Duration,
    /// When it ends.
    pub end: Duration,
}

impl Lifetime {
    /// Times in seconds, in this order whatever a server says.
    pub fn new(renew: u64, rebind: u64, end: u64) -> Self {
        let rebind = rebind.min(end);
        let [renew, rebind, end] = [renew.min(rebind), rebind, end].map(|seconds| Duration::from_secs(seconds.max(1)));
        Self { renew, rebind, end }
    }
}

/// A server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It would give this (DHCPOFFER).
    Offer(Lease),
    /// It gives this (DHCPACK).
    Ack(Lease),
    /// It refuses, with its own words (DHCPNAK).
    Nak(String),
}

impl Client {
    /// DHCPDISCOVER, broadcast.
    pub fn discover(self) -> Vec<u8> {
        self.message(DISCOVER, Ipv4Addr::UNSPECIFIED, BROADCAST_FLAG, &[])
    }

    /// DHCPREQUEST in state SELECTING, broadcast.
    pub fn request(self, offer: &Lease) -> Vec<u8> {
        let options = [(REQUESTED_ADDRESS, offer.address.address()), (SERVER, offer.server)];
        self.message(REQUEST, Ipv4Addr::UNSPECIFIED, BROADCAST_FLAG, &options)
    }

    /// DHCPREQUEST in state RENEWING, unicast, or REBINDING, broadcast.
    pub fn renew(self, lease: &Lease) -> Vec<u8> {
        self.message(REQUEST, lease.address.address(), 0, &[])
    }

    fn message(self, kind: u8, current: Ipv4Addr, flags: u16, addresses: &[(u8, Ipv4Addr)]) -> Vec<u8> {
        let mut message = vec![0; OPTIONS];
        message[0] = 1; // BOOTREQUEST
        message[1] = 1; // Ethernet
        message[2] = 6;
        message[4..8].copy_from_slice(&self.transaction.to_be_bytes());
        message[10..12].copy_from_slice(&flags.to_be_bytes());
        message[12..16].copy_from_slice(&current.octets());
        message[28..34].copy_from_slice(&self.mac.bytes());
        message[236..240].copy_from_slice(&COOKIE);
        let mut option = |code: u8, value: &[u8]| {
            // Every value below is a constant, an address, or a hardware address: far from 255 bytes.
            message.push(code);
            message.push(value.len() as u8);
            message.extend_from_slice(value);
        };
        option(MESSAGE_TYPE, &[kind]);
        for (code, address) in addresses {
            option(*code, &address.octets());
        }
        let [a, b, c, d, e, f] = self.mac.bytes();
        // The same identifier as iPXE sends, so that servers which go by it see one client.
        option(CLIENT_IDENTIFIER, &[1, a, b, c, d, e, f]);
        option(CLASS, VENDOR_CLASS.as_bytes());
        option(LONGEST_MESSAGE, &1472_u16.to_be_bytes());
        option(PARAMETERS, &[SUBNET_MASK, ROUTER, LEASE_TIME, SERVER, RENEWAL_TIME, REBINDING_TIME]);
        message.push(END);
        // RFC 1542 §2.1: relays may drop what is shorter than BOOTP's 300 bytes.
        message.resize(message.len().max(300), 0);
        message
    }

    /// Reads an answer; `None` for whatever is not meant for this exchange, or is no answer at all.
    pub fn read(self, packet: &[u8]) -> Option<Answer> {
        let field = |at: usize| packet.get(at..at + 4)?.first_chunk::<4>().copied();
        let reply = packet.first() == Some(&2) && packet.get(28..34) == Some(&self.mac.bytes()[..]);
        if !reply || field(4)? != self.transaction.to_be_bytes() || field(236)? != COOKIE {
            return None;
        }
        let options = Options(packet.get(OPTIONS..)?);
        let lease = || {
            let given = Ipv4Addr::from(field(16)?);
            let mask = options.address(SUBNET_MASK).unwrap_or_else(|| class_mask(given));
            let usable = !given.is_unspecified() && !given.is_broadcast() && !given.is_multicast();
            Some(Lease {
                address: Ipv4Net::new(given, mask.to_bits().leading_ones() as u8).filter(|_| usable)?,
                router: options.address(ROUTER).filter(|router| !router.is_unspecified()),
                server: options.address(SERVER)?,
                lifetime: options.lifetime(),
            })
        };
        match options.find(MESSAGE_TYPE)? {
            [OFFER] => lease().map(Answer::Offer),
            [ACK] => lease().map(Answer::Ack),
            [NAK] => Some(Answer::Nak(String::from_utf8_lossy(options.find(MESSAGE).unwrap_or_default()).into_owned())),
            _ => None,
        }
    }
}

/// The options of a message; without overload (option 52), which no server needs for what is asked here.
#[derive(Clone, Copy)]
struct Options<'a>(&'a [u8]);

impl<'a> Options<'a> {
    fn find(self, wanted: u8) -> Option<&'a [u8]> {
        let mut rest = self.0;
        loop {
            match *rest {
                [0, ..] => rest = &rest[1..],
                [END, ..] => return None,
                [code, length, ..] => {
                    let value = rest.get(2..2 + usize::from(length))?;
                    if code == wanted {
                        return Some(value);
                    }
                    rest = &rest[2 + value.len()..];
                }
                _ => return None,
            }
        }
    }

    fn address(self, code: u8) -> Option<Ipv4Addr> {
        self.find(code)?.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets))
    }

    fn seconds(self, code: u8) -> Option<u32> {
        self.find(code)?.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
    }

    fn lifetime(self) -> Option<Lifetime> {
        let end = self.seconds(LEASE_TIME).filter(|end| *end != u32::MAX)?;
        // RFC 2131 §4.4.5: half, and seven eighths, where the server does not say.
        let rebind = self.seconds(REBINDING_TIME).unwrap_or(end - end / 8);
        let renew = self.seconds(RENEWAL_TIME).unwrap_or(end / 2);
        Some(Lifetime::new(renew.into(), rebind.into(), end.into()))
    }
}

/// The mask that an address had before there were masks (RFC 791 §3.2), for a server that sends none.
fn class_mask(address: Ipv4Addr) -> Ipv4Addr {
    match address.octets()[0] {
        0..128 => Ipv4Addr::new(255, 0, 0, 0),
        128..192 => Ipv4Addr::new(255, 255, 0, 0),
        192.. => Ipv4Addr::new(255, 255, 255, 0),
    }
}

/// RFC 2131 §2: answers come by broadcast, because this host has no address yet.
const BROADCAST_FLAG: u16 = 0x8000;

/// RFC 2131 §3: the magic cookie before the options.
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// RFC 2131 §2: where the options start.
const OPTIONS: usize = 240;

// RFC 2132, by section: 3.3, 3.5, 9.1, 9.2, 9.6, 9.7, 9.8, 9.9, 9.10, 9.11, 9.12, 9.13, 9.14, 3.2.
const SUBNET_MASK: u8 = 1;
const ROUTER: u8 = 3;
const REQUESTED_ADDRESS: u8 = 50;
const LEASE_TIME: u8 = 51;
const MESSAGE_TYPE: u8 = 53;
const SERVER: u8 = 54;
const PARAMETERS: u8 = 55;
const MESSAGE: u8 = 56;
const LONGEST_MESSAGE: u8 = 57;
const RENEWAL_TIME: u8 = 58;
const REBINDING_TIME: u8 = 59;
const CLASS: u8 = 60;
const CLIENT_IDENTIFIER: u8 = 61;
const END: u8 = 255;

// RFC 2132 §9.6: the values of option 53.
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_offer_and_the_installer() {
        let request = CLIENT.request(&lease());

        let options = Options(&request[OPTIONS..]);
        assert_eq!(request.len(), 300);
        assert_eq!(request[10..12], [0x80, 0]);
        assert_eq!(options.find(MESSAGE_TYPE), Some(&[REQUEST][..]));
        assert_eq!(options.address(REQUESTED_ADDRESS), Some(Ipv4Addr::new(10, 77, 0, 100)));
        assert_eq!(options.address(SERVER), Some(Ipv4Addr::new(10, 77, 0, 1)));
        assert_eq!(options.find(CLASS), Some(&b"pvmlab-installer"[..]));
    }

    #[test]
    fn a_renewal_has_its_address_and_names_no_server() {
        // RFC 2131 §4.3.2: in state RENEWING, 'server identifier' and 'requested IP address' must not be there.
        let renewal = CLIENT.renew(&lease());

        let options = Options(&renewal[OPTIONS..]);
        assert_eq!(renewal[12..16], [10, 77, 0, 100]);
        assert_eq!((options.find(SERVER), options.find(REQUESTED_ADDRESS)), (None, None));
    }

    #[test]
    fn an_answer_becomes_a_lease() {
        assert_eq!(CLIENT.read(&answer(OFFER)), Some(Answer::Offer(lease())));
        assert_eq!(CLIENT.read(&answer(ACK)), Some(Answer::Ack(lease())));
    }

    #[test]
    fn a_refusal_keeps_the_servers_words() {
        let mut packet = answer(NAK);
        packet.pop();
        packet.extend_from_slice(&[MESSAGE, 6]);
        packet.extend_from_slice(b"no way\xff");

        assert_eq!(CLIENT.read(&packet), Some(Answer::Nak("no way".to_owned())));
    }

    #[test]
    fn answers_to_others_are_not_read() {
        let good = answer(ACK);
        for at in [0, 4, 28, 236] {
            let mut packet = good.clone();
            packet[at] ^= 1;
            assert_eq!(CLIENT.read(&packet), None, "byte {at}");
        }
    }

    #[test]
    fn no_length_of_an_answer_is_trusted() {
        let good = answer(ACK);
        for length in 0..good.len() {
            let cut = CLIENT.read(&good[..length]);
            assert!(cut.is_none() || cut.is_some_and(|answer| matches!(answer, Answer::Ack(_))), "{length}");
        }
        let mut long = good.clone();
        long[OPTIONS + 4] = 255;
        assert_eq!(CLIENT.read(&long), None);
    }

    #[test]
    fn times_stay_in_order_whatever_the_server_says() {
        let options = [LEASE_TIME, 4, 0, 0, 0, 80, RENEWAL_TIME, 4, 0, 0, 1, 0, END];

        let lifetime = Options(&options).lifetime().expect("a lease time");

        assert_eq!((lifetime.renew.as_secs(), lifetime.rebind.as_secs(), lifetime.end.as_secs()), (70, 70, 80));
        assert_eq!(Options(&[LEASE_TIME, 4, 255, 255, 255, 255, END]).lifetime(), None);
    }

    const CLIENT: Client = Client { mac: MacAddr::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]), transaction: 0x1234_5678 };

    fn lease() -> Lease {
        Lease {
            address: Ipv4Net::new(Ipv4Addr::new(10, 77, 0, 100), 24).expect("a prefix"),
            router: Some(Ipv4Addr::new(10, 77, 0, 1)),
            server: Ipv4Addr::new(10, 77, 0, 1),
            lifetime: Some(Lifetime::new(30, 53, 60)),
        }
    }

    fn answer(kind: u8) -> Vec<u8> {
        let mut packet = CLIENT.discover();
        packet.truncate(OPTIONS);
        packet[0] = 2;
        packet[16..20].copy_from_slice(&[10, 77, 0, 100]);
        packet.extend_from_slice(&[0, MESSAGE_TYPE, 1, kind, SERVER, 4, 10, 77, 0, 1, LEASE_TIME, 4, 0, 0, 0, 60]);
        packet.extend_from_slice(&[SUBNET_MASK, 4, 255, 255, 255, 0, ROUTER, 4, 10, 77, 0, 1, END]);
        packet
    }
}
