//! Relay agents: what they wrap a client's message in, and how the answer goes back through them (RFC 8415 §19).

use std::net::Ipv6Addr;

use lab_model::MacAddr;

use super::Ignored;
use super::options::{self, code};

/// One relay agent on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Relay {
    hops: u8,
    /// Of the link that the client is on, as far as this relay knows.
    pub(super) link: Ipv6Addr,
    /// Whom it had the message from.
    pub(super) peer: Ipv6Addr,
    interface: Option<Vec<u8>>,
    /// The client's hardware address, where the relay has seen its frame (RFC 6939).
    pub(super) hardware: Option<MacAddr>,
}

/// RFC 8415 §7.3: Relay-forward.
const FORWARD: u8 = 12;

/// RFC 8415 §7.3: Relay-reply.
const REPLY: u8 = 13;

/// RFC 8415 §7.6, HOP_COUNT_LIMIT.
const MOST: usize = 8;

/// RFC 8415 §9: type, hop count and two addresses.
const HEADER: usize = 34;

/// RFC 6939 §4: Ethernet, as ARP numbers it.
const ETHERNET: [u8; 2] = [0, 1];

/// Unwraps a message: the relays from the server's side to the client's, and what the client sent.
pub(super) fn unwrap(mut message: &[u8]) -> Result<(Vec<Relay>, &[u8]), Ignored> {
    let mut relays = Vec::new();
    while message.first() == Some(&FORWARD) {
        if relays.len() == MOST {
            return Err(Ignored::RelayedTooOften);
        }
        let (relay, inner) = Relay::read(message)?;
        relays.push(relay);
        message = inner;
    }
    Ok((relays, message))
}

/// Wraps an answer for each relay on its way back.
pub(super) fn wrap(relays: &[Relay], answer: Vec<u8>) -> Vec<u8> {
    relays.iter().rev().fold(answer, |inner, relay| {
        let mut message = Vec::with_capacity(HEADER + inner.len() + 64);
        message.extend([REPLY, relay.hops]);
        message.extend(relay.link.octets());
        message.extend(relay.peer.octets());
        if let Some(interface) = &relay.interface {
            options::push(&mut message, code::INTERFACE_ID, interface);
        }
        options::push(&mut message, code::RELAY_MESSAGE, &inner);
        message
    })
}

impl Relay {
    fn read(message: &[u8]) -> Result<(Self, &[u8]), Ignored> {
        let (header, rest) = message.split_at_checked(HEADER).ok_or(Ignored::TooShort(message.len()))?;
        let address = |at: usize| {
            let octets: [u8; 16] = header[at..at + 16].try_into().expect("the header has 16 bytes there");
            Ipv6Addr::from(octets)
        };
        let mut relay = Self { hops: header[1], link: address(2), peer: address(18), interface: None, hardware: None };
        let mut inner = None;
        for (code, data) in options::read(rest)? {
            match code {
                code::RELAY_MESSAGE => inner = inner.or(Some(data)),
                code::INTERFACE_ID => relay.interface = Some(data.to_vec()),
                code::LINK_LAYER_ADDRESS => relay.hardware = hardware(data),
                _ => {}
            }
        }
        Ok((relay, inner.ok_or(Ignored::MalformedOption(code::RELAY_MESSAGE))?))
    }
}

fn hardware(data: &[u8]) -> Option<MacAddr> {
    let address = data.strip_prefix(&ETHERNET)?;
    Some(MacAddr::new(address.try_into().ok()?)).filter(|mac| mac.is_unicast())
}
