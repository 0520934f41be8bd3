//! The lab's interface, as replies leave by it.

use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddrV4};

use pxe_proto::dhcp::{Destination, FrameSender, Reply};
use tracing::{debug, warn};

use super::ethernet::{Ethernet, Hears};
use super::socket::{DHCP_CLIENT, DHCP_SERVER, DhcpSocket};
use crate::interface::Interface;

/// The socket that requests arrive at, and what replies leave by.
///
/// A client that has no address yet is sent a whole frame: it answers no ARP, and what is broadcast by UDP the kernel also hands to
/// this machine itself. Whoever has an address is reached by UDP, by way of the kernel's routes.
pub(crate) struct Link {
    pub(super) socket: DhcpSocket,
    frames: Option<Frames>,
}

/// Where frames leave.
pub(crate) struct Frames {
    ethernet: Ethernet,
    sender: FrameSender,
}

impl Frames {
    /// Leaves by this interface, as sent from `address`; needs CAP_NET_RAW.
    ///
    /// # Errors
    /// The kernel refuses, or the interface is no Ethernet.
    pub(crate) fn open(interface: &Interface, address: Ipv4Addr) -> anyhow::Result<Self> {
        let ethernet = Ethernet::open(interface, Hears::Nothing)?;
        let sender = FrameSender { mac: ethernet.mac, address };
        Ok(Self { ethernet, sender })
    }
}

impl Link {
    /// `frames` is `None` where the kernel does not let us: then clients without an address are answered by broadcast.
    pub(crate) fn new(socket: DhcpSocket, frames: Option<Frames>) -> Self {
        Self { socket, frames }
    }

    /// Sends a reply; what cannot be sent is logged, and the client asks again.
    pub(super) fn send(&self, reply: &Reply) {
        let Reply { mac, destination, message, .. } = reply;
        let framed = self.frames.as_ref().and_then(|Frames { ethernet, sender }| {
            let headers = sender.headers(*destination, message)?;
            Some(ethernet.send(&[IoSlice::new(&headers), IoSlice::new(message)]))
        });
        match framed {
            Some(Ok(())) => return,
            // UDP divides what is too long for the interface.
            Some(Err(error)) => debug!(%mac, ?destination, %error, "a DHCP reply cannot be sent as a frame"),
            None => {}
        }
        // RFC 2131 §4.1 allows it: a client that could be reached alone sees a broadcast all the same.
        let destination = address_of(*destination).unwrap_or(SocketAddrV4::new(Ipv4Addr::BROADCAST, DHCP_CLIENT));
        if let Err(error) = self.socket.send(message, destination) {
            warn!(%mac, %destination, %error, "a DHCP reply cannot be sent");
        }
    }
}

/// Where a datagram goes that needs no more than an address; `None` for a client that does not answer ARP yet.
pub(super) fn address_of(destination: Destination) -> Option<SocketAddrV4> {
    match destination {
        Destination::Relay(relay) => Some(SocketAddrV4::new(relay, DHCP_SERVER)),
        Destination::Unicast(address) => Some(SocketAddrV4::new(address, DHCP_CLIENT)),
        Destination::Sender(sender) => Some(sender),
        Destination::Broadcast => Some(SocketAddrV4::new(Ipv4Addr::BROADCAST, DHCP_CLIENT)),
        Destination::Hardware { .. } => None,
    }
}
