//! The DHCP server's socket.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;

use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use socket2::{Domain, SockFilter, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use crate::interface::Interface;
use crate::port_owner::{Protocol, explain};

/// RFC 2131 §4.1: the server's port.
pub(super) const DHCP_SERVER: u16 = 67;
/// RFC 2131 §4.1: the client's port.
pub(super) const DHCP_CLIENT: u16 = 68;
/// PXE 2.1: the boot server's port.
const BOOT_SERVER: u16 = 4011;

/// Hears broadcasts, and only what arrives on the lab's interface.
#[derive(Debug)]
pub(crate) struct DhcpSocket {
    socket: UdpSocket,
    source: in_pktinfo,
}

/// Whether others may have the same port, if they say so too (SO_REUSEADDR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    Yes,
    No,
}

impl DhcpSocket {
    /// Binds port 67 on the lab's interface; replies are sent from `source`.
    ///
    /// # Errors
    /// Somebody has the port, or a capability is missing; the message says who or which.
    pub(crate) fn bind(interface: &Interface, source: Ipv4Addr) -> anyhow::Result<Self> {
        Self::bind_to((Ipv4Addr::UNSPECIFIED, DHCP_SERVER), Sharing::No, interface, source)
    }

    /// Binds port 68 on the lab's interface, to hear what servers other than `own` say to clients.
    ///
    /// # Errors
    /// Those of [`DhcpSocket::bind`].
    pub(super) fn bind_client(interface: &Interface, own: Ipv4Addr) -> anyhow::Result<Self> {
        let everything = (Ipv4Addr::UNSPECIFIED, DHCP_CLIENT);
        let bound = Self::bind_to(everything, Sharing::No, interface, Ipv4Addr::UNSPECIFIED)?;
        SockRef::from(&bound.socket).attach_filter(&all_but(own))?;
        Ok(bound)
    }

    /// Binds port 67 on the lab's interface, for what is broadcast alone.
    ///
    /// A DHCP server on this same machine has the port too, and hears all broadcasts as well. What is sent to it alone, as by
    /// clients that renew their leases, stays its own: such a datagram goes to one socket, and never to one of this address.
    ///
    /// # Errors
    /// Those of [`DhcpSocket::bind`].
    pub(crate) fn bind_broadcast(interface: &Interface, source: Ipv4Addr) -> anyhow::Result<Self> {
        Self::bind_to((Ipv4Addr::BROADCAST, DHCP_SERVER), Sharing::Yes, interface, source)
    }

    /// Binds the boot server's port on the lab's interface.
    ///
    /// # Errors
    /// Those of [`DhcpSocket::bind`].
    pub(crate) fn bind_boot_server(interface: &Interface, source: Ipv4Addr) -> anyhow::Result<Self> {
        Self::bind_to((source, BOOT_SERVER), Sharing::No, interface, source)
    }

    fn bind_to(
        (address, port): (Ipv4Addr, u16),
        sharing: Sharing,
        interface: &Interface,
        source: Ipv4Addr,
    ) -> anyhow::Result<Self> {
        let bind = || -> io::Result<UdpSocket> {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
            socket.set_nonblocking(true)?;
            socket.set_broadcast(true)?;
            // The device first: two servers on two interfaces do not disturb each other.
            socket.bind_device(Some(interface.name.as_bytes()))?;
            socket.set_reuse_address(sharing == Sharing::Yes)?;
            // A client without an address sends to 255.255.255.255, which is among all addresses.
            socket.bind(&SocketAddr::from((address, port)).into())?;
            UdpSocket::from_std(socket.into())
        };
        let socket = bind().map_err(|error| explain(error, Protocol::Udp, port))?;
        // An interface may have several addresses; clients must see the one that is the server identifier.
        let source = in_pktinfo {
            ipi_ifindex: interface.index.cast_signed(),
            ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(source.octets()) },
            ipi_addr: in_addr { s_addr: 0 },
        };
        Ok(Self { socket, source })
    }

    /// Waits for a datagram.
    ///
    /// # Errors
    /// The kernel refuses; the next call may succeed.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddrV4)> {
        self.socket.recv_from(buffer).await.map(v4)
    }

    /// Takes a datagram that is there already.
    ///
    /// # Errors
    /// `WouldBlock`: there is none.
    pub(super) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddrV4)> {
        self.socket.try_recv_from(buffer).map(v4)
    }

    /// Sends a datagram, or loses it: who waited for a queue that is full would keep every other client waiting too.
    ///
    /// # Errors
    /// The kernel refuses, for instance because there is no route to `destination`; `WouldBlock`: its queue is full.
    pub(super) fn send(&self, datagram: &[u8], destination: SocketAddrV4) -> io::Result<()> {
        // Not by way of tokio's readiness, of which the first send could know nothing yet.
        let sent = sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(datagram)],
            &[ControlMessage::Ipv4PacketInfo(&self.source)],
            MsgFlags::MSG_DONTWAIT,
            Some(&SockaddrIn::from(destination)),
        );
        Ok(sent.map(drop)?)
    }
}

/// What the kernel does with each datagram for a socket, before anybody is woken for it (Linux's
/// Documentation/networking/filter.rst): those from `sender` are dropped. Our own broadcasts come back to this machine as
/// well, one for nearly every reply.
fn all_but(sender: Ipv4Addr) -> [SockFilter; 4] {
    /// RFC 791 §3.1, the source address; from the network header on, as the kernel counts with `SKF_NET_OFF`.
    const SOURCE: u32 = (-0x10_0000_i32 + 12).cast_unsigned();
    let step = |code, (jt, jf), k| SockFilter::new(code, jt, jf, k);
    [
        // BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JEQ | BPF_K, BPF_RET | BPF_K.
        step(0x20, (0, 0), SOURCE),
        step(0x15, (0, 1), sender.to_bits()),
        step(0x06, (0, 0), 0),
        step(0x06, (0, 0), u32::MAX),
    ]
}

/// An IPv4 socket hears from IPv4 addresses only.
fn v4((length, sender): (usize, SocketAddr)) -> (usize, SocketAddrV4) {
    match sender {
        SocketAddr::V4(sender) => (length, sender),
        SocketAddr::V6(_) => (0, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)),
    }
}
