//! The service's sockets: where they are bound and to which interface.

use std::io;
use std::net::SocketAddr;

use rustix::net::sockopt::{ip_mtu, ipv6_mtu};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tracing::warn;

use super::Config;
use super::ports::Ports;

/// Binds the socket that requests come in on. Forgets the device where the kernel allows no binding to it (it does
/// since Linux 5.7, or with CAP_NET_RAW): then the address alone says what is served.
pub(super) fn listening(config: &mut Config) -> io::Result<UdpSocket> {
    let socket = open(config)?;
    if let Some(name) = &config.device
        && let Err(error) = socket.bind_device(Some(name.as_bytes()))
    {
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Err(error);
        }
        warn!(device = name, "not allowed to bind TFTP to its interface");
        config.device = None;
    }
    socket.bind(&config.address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Binds a transfer's socket to this port of the local address, and connects it: the kernel then drops what others send to
/// it, and says when the client's port is closed. Where the port is the listening one, what this client sends comes here from
/// now on; between the two calls somebody else's request can come here too, is lost, and is sent again.
pub(super) fn connected(config: &Config, port: u16, client: SocketAddr) -> io::Result<UdpSocket> {
    let socket = open(config)?;
    if let Some(device) = &config.device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    socket.bind(&SocketAddr::new(config.address.ip(), port).into())?;
    socket.connect(&client.into())?;
    UdpSocket::from_std(socket.into())
}

/// The longest block that the route to a connected socket's client carries in one piece, as far as the kernel tells.
pub(super) fn longest_block(socket: &UdpSocket, client: SocketAddr) -> Option<u16> {
    let (packet, address_header) = match client {
        SocketAddr::V4(_) => (ip_mtu(socket).ok()?, 20),
        SocketAddr::V6(_) => (ipv6_mtu(socket).ok()?, 40),
    };
    u16::try_from(packet.saturating_sub(address_header + UDP_AND_TFTP)).ok()
}

/// The headers of RFC 768 and of RFC 1350 §5.
const UDP_AND_TFTP: u32 = 8 + 4;

fn open(config: &Config) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(config.address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // Transfers that share the listening port are told apart by the addresses that their sockets are connected to.
    socket.set_reuse_address(config.ports == Ports::Listening)?;
    if config.address.is_ipv6() {
        // A new IPv6 address cannot be used for a while, nor on a link without a carrier.
        socket.set_freebind_v6(true)?;
    }
    Ok(socket)
}
