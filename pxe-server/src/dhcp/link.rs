//! The lab's interface, as replies leave by it.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use pxe_proto::dhcp::{Destination, Reply};
use tracing::{debug, warn};

use super::socket::{DHCP_CLIENT, DHCP_SERVER, DhcpSocket};
use crate::interface::{Interface, Netlink};

/// The socket, and the kernel's table of neighbours behind it.
pub(crate) struct Link {
    pub(super) socket: DhcpSocket,
    netlink: Option<Netlink>,
    interface: u32,
}

impl Link {
    /// `netlink` is where the kernel is told who has an address that nobody answers ARP for yet; `None` where it does not
    /// let us.
    pub(crate) fn new(socket: DhcpSocket, netlink: Option<Netlink>, interface: &Interface) -> Self {
        Self { socket, netlink, interface: interface.index }
    }

    /// Sends a reply; what cannot be sent is logged, and the client asks again.
    pub(super) async fn send(&self, reply: &Reply) {
        let destination = self.destination(reply.destination).await;
        if let Err(error) = self.socket.send(&reply.message, destination) {
            warn!(mac = %reply.mac, %destination, %error, "a DHCP reply cannot be sent");
        }
    }

    /// Where the datagram goes (RFC 2131 §4.1).
    async fn destination(&self, destination: Destination) -> SocketAddrV4 {
        if let Some(address) = address_of(destination) {
            return address;
        }
        let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, DHCP_CLIENT);
        let Destination::Hardware { mac, address } = destination else { return everybody };
        let known = match &self.netlink {
            Some(netlink) => netlink.introduce(self.interface, address, mac).await.map_err(io::Error::other),
            None => Err(io::ErrorKind::PermissionDenied.into()),
        };
        match known {
            Ok(()) => SocketAddrV4::new(address, DHCP_CLIENT),
            // RFC 2131 §4.1 allows it: the client sees a broadcast all the same.
            Err(error) => {
                debug!(%mac, %address, %error, "broadcast, because the kernel cannot be told who has the address");
                everybody
            }
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
