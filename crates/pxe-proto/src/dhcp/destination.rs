//! Where a reply goes (RFC 2131 §4.1).

use std::net::{Ipv4Addr, SocketAddrV4};

use lab_model::MacAddr;

use super::{ReplyKind, Request};

/// Where a reply is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To the relay agent at this address, port 67.
    Relay(Ipv4Addr),
    /// To the client at the address that it has and answers ARP for, port 68.
    Unicast(Ipv4Addr),
    /// To this address and port, which the request came from.
    Sender(SocketAddrV4),
    /// To 255.255.255.255, port 68, out of the lab interface.
    Broadcast,
    /// To this address, port 68, in a frame to this hardware address: the client does not answer ARP for it yet.
    Hardware {
        /// The client's hardware address.
        mac: MacAddr,
        /// The address that it is being given.
        address: Ipv4Addr,
    },
}

impl Destination {
    /// Where the reply of this kind goes; `address` is the one that it gives to the client, if any.
    pub(super) fn of(kind: ReplyKind, request: &Request, address: Option<Ipv4Addr>) -> Self {
        if !request.relay().is_unspecified() {
            return Self::Relay(request.relay());
        }
        if kind == ReplyKind::Nak {
            return Self::Broadcast;
        }
        if !request.address_in_use().is_unspecified() {
            return Self::Unicast(request.address_in_use());
        }
        match address {
            Some(address) if !request.wants_broadcast() => Self::Hardware { mac: request.mac(), address },
            Some(_) | None => Self::Broadcast,
        }
    }
}
