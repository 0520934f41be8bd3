//! The service's sockets: where they are bound and to which interface.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tracing::warn;

/// Binds the socket that requests come in on. Forgets the device where the kernel allows no binding to it (it does
/// since Linux 5.7, or with CAP_NET_RAW): then the address alone says what is served.
pub(super) fn listening(address: SocketAddr, device: &mut Option<String>) -> io::Result<UdpSocket> {
    let socket = open(address)?;
    if let Some(name) = device
        && let Err(error) = socket.bind_device(Some(name.as_bytes()))
    {
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Err(error);
        }
        warn!(device = name, "not allowed to bind TFTP to its interface");
        *device = None;
    }
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Binds a transfer's socket to a free port of the local address, and connects it: the kernel then drops what others
/// send to it, and says when the client's port is closed.
pub(super) fn connected(mut local: SocketAddr, client: SocketAddr, device: Option<&str>) -> io::Result<UdpSocket> {
    local.set_port(0);
    let socket = open(local)?;
    if let Some(device) = device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    socket.bind(&local.into())?;
    socket.connect(&client.into())?;
    UdpSocket::from_std(socket.into())
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
