//! The DHCPv6 server's socket.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use crate::interface::Interface;
use crate::port_owner::{Protocol, explain};

/// RFC 8415 §7.2: servers and relays.
const SERVER: u16 = 547;

/// RFC 8415 §7.2.
const CLIENT: u16 = 546;

/// RFC 8415 §7.1, All_DHCP_Relay_Agents_and_Servers.
const ALL_AGENTS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// RFC 8415 §7.1, All_DHCP_Servers: whom relays ask that know none by name.
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3);

/// Hears what is sent to all servers, and only what arrives on the lab's interface.
#[derive(Debug)]
pub(crate) struct Dhcp6Socket {
    socket: UdpSocket,
}

impl Dhcp6Socket {
    /// Binds port 547 on the lab's interface.
    ///
    /// # Errors
    /// Somebody has the port, or a capability is missing; the message says who or which.
    pub(crate) fn bind(interface: &Interface) -> anyhow::Result<Self> {
        let bind = || -> io::Result<UdpSocket> {
            let socket = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
            socket.set_nonblocking(true)?;
            socket.set_only_v6(true)?;
            socket.bind_device(Some(interface.name.as_bytes()))?;
            socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, SERVER)).into())?;
            for group in [ALL_AGENTS, ALL_SERVERS] {
                socket.join_multicast_v6(&group, interface.index)?;
            }
            UdpSocket::from_std(socket.into())
        };
        Ok(Self { socket: bind().map_err(|error| explain(error, Protocol::Udp, SERVER))? })
    }

    /// Waits for a datagram.
    ///
    /// # Errors
    /// The kernel refuses; the next call may succeed.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddrV6)> {
        match self.socket.recv_from(buffer).await? {
            (length, SocketAddr::V6(sender)) => Ok((length, sender)),
            (_, SocketAddr::V4(_)) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Answers whoever sent a datagram, a relay or a client; or loses the answer, where the kernel's queue is full.
    ///
    /// # Errors
    /// The kernel refuses, for instance because there is no route.
    pub(super) fn send(&self, datagram: &[u8], mut to: SocketAddrV6, is_relayed: bool) -> io::Result<()> {
        to.set_port(if is_relayed { SERVER } else { CLIENT });
        // Not by way of tokio's readiness, of which the first send could know nothing yet.
        SockRef::from(&self.socket).send_to(datagram, &to.into()).map(drop)
    }
}
