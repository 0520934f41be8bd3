//! Where questions come in: the lab's addresses, from the lab's interface and from this host, and from nowhere else.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;

use anyhow::anyhow;
use socket2::{Domain, Socket, Type};
use tokio::io::ReadBuf;
use tokio::net::{TcpListener, UdpSocket};

use crate::interface::Interface;
use crate::port_owner::{Protocol, explain};

/// Everything that is bound: for each address of the server's, for the lab first, then for this host.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(super) udp: Udp,
    pub(super) tcp: Vec<TcpListener>,
}

/// Sockets that are listened to in turn, so that no crowd at one keeps another's clients waiting.
#[derive(Debug)]
pub(super) struct Udp {
    sockets: Vec<UdpSocket>,
    next: usize,
}

/// RFC 1035 §4.2: the port of servers.
const DNS: u16 = 53;

/// Linux answers for all of its addresses on every interface; what comes from this host itself comes by this one.
const LOOPBACK: &str = "lo";

/// How many connections wait to be accepted.
const BACKLOG: i32 = 64;

impl Sockets {
    /// Binds port 53 of the server's addresses; needs a runtime.
    ///
    /// # Errors
    /// Somebody has the port, or a capability is missing; the message says who or which, and how to do without.
    pub(crate) fn bind(interface: &Interface, server: Ipv4Addr, ipv6: Option<Ipv6Addr>) -> anyhow::Result<Self> {
        let explained = |error, protocol| {
            let problem = explain(error, protocol, DNS);
            anyhow!("{problem}; or answer no names: `enabled = false` in [dns]")
        };
        let (mut sockets, mut listeners) = (Vec::new(), Vec::new());
        for address in [IpAddr::from(server)].into_iter().chain(ipv6.map(IpAddr::from)) {
            let address = SocketAddr::new(address, DNS);
            for device in [interface.name.as_str(), LOOPBACK] {
                sockets.push(udp(device, address).map_err(|error| explained(error, Protocol::Udp))?);
                listeners.push(tcp(device, address).map_err(|error| explained(error, Protocol::Tcp))?);
            }
        }
        Ok(Self { udp: Udp { sockets, next: 0 }, tcp: listeners })
    }
}

impl Udp {
    /// Waits for a datagram: by which socket it came, how long it is, and from whom.
    ///
    /// # Errors
    /// The kernel refuses; the next call may succeed.
    pub(super) async fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, usize, SocketAddr)> {
        poll_fn(|context| {
            for turn in 0..self.sockets.len() {
                let at = (self.next + turn) % self.sockets.len();
                let mut room = ReadBuf::new(buffer);
                if let Poll::Ready(received) = self.sockets[at].poll_recv_from(context, &mut room) {
                    self.next = at + 1;
                    return Poll::Ready(received.map(|client| (at, room.filled().len(), client)));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Sends a datagram, or loses it.
    ///
    /// # Errors
    /// The kernel refuses, or has no room.
    pub(super) fn send(&self, at: usize, message: &[u8], client: SocketAddr) -> io::Result<()> {
        self.sockets[at].try_send_to(message, client).map(drop)
    }
}

fn udp(device: &str, address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = open(device, address, Type::DGRAM)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

fn tcp(device: &str, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(device, address, Type::STREAM)?;
    // A restarted server need not wait for the connections of the last one.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn open(device: &str, address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // A new IPv6 address cannot be used for a while, nor on a link without a carrier.
        socket.set_freebind_v6(true)?;
    }
    socket.bind_device(Some(device.as_bytes()))?;
    Ok(socket)
}
