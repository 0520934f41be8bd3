//! Where questions come in: the lab's address, from the lab's interface and from this host, and from nowhere else.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::anyhow;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

use crate::interface::Interface;
use crate::port_owner::{Protocol, explain};

/// Everything that is bound, each twice: for the lab first, then for this host.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(super) udp: [UdpSocket; 2],
    pub(super) tcp: Vec<TcpListener>,
}

/// RFC 1035 §4.2: the port of servers.
const DNS: u16 = 53;

/// Linux answers for all of its addresses on every interface; what comes from this host itself comes by this one.
const LOOPBACK: &str = "lo";

/// How many connections wait to be accepted.
const BACKLOG: i32 = 64;

impl Sockets {
    /// Binds port 53 of the server's address; needs a runtime.
    ///
    /// # Errors
    /// Somebody has the port, or a capability is missing; the message says who or which, and how to do without.
    pub(crate) fn bind(interface: &Interface, server: Ipv4Addr) -> anyhow::Result<Self> {
        let address = SocketAddr::from((server, DNS));
        let explained = |error, protocol| {
            let problem = explain(error, protocol, DNS);
            anyhow!("{problem}; or answer no names: `enabled = false` in [dns]")
        };
        let udp = |device: &str| udp(device, address).map_err(|error| explained(error, Protocol::Udp));
        let tcp = |device: &str| tcp(device, address).map_err(|error| explained(error, Protocol::Tcp));
        Ok(Self { udp: [udp(&interface.name)?, udp(LOOPBACK)?], tcp: vec![tcp(&interface.name)?, tcp(LOOPBACK)?] })
    }
}

fn udp(device: &str, address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = open(device, Type::DGRAM)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

fn tcp(device: &str, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(device, Type::STREAM)?;
    // A restarted server need not wait for the connections of the last one.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn open(device: &str, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, kind, None)?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(device.as_bytes()))?;
    Ok(socket)
}
