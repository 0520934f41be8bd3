//! The ICMPv6 socket.

use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd as _;

use anyhow::Context as _;
use nix::libc::c_int;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendto};
use socket2::{Domain, Protocol, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::interface::Interface;

/// Hears what arrives on the lab's interface, and speaks to all nodes there.
#[derive(Debug)]
pub(super) struct Socket {
    /// No UDP: but the runtime waits for any datagram socket alike, and this is its safe name for one.
    socket: UdpSocket,
    interface: u32,
}

/// A packet from its ICMPv6 header on, whose checksum is right.
pub(super) struct Heard {
    pub(super) packet: Vec<u8>,
    pub(super) sender: Ipv6Addr,
    pub(super) hop_limit: Option<u8>,
}

/// RFC 4291 §2.7.1.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// RFC 4291 §2.7.1.
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// RFC 4861 §4.2: receivers believe that it comes from their own link.
const HOP_LIMIT: u32 = 255;

/// Longer than any solicitation.
const PACKET: usize = 512;

impl Socket {
    /// Opens it; needs CAP_NET_RAW and a runtime.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) fn open(interface: &Interface) -> anyhow::Result<Self> {
        let open = || -> io::Result<UdpSocket> {
            let socket = socket2::Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
            socket.set_nonblocking(true)?;
            socket.bind_device(Some(interface.name.as_bytes()))?;
            socket.set_multicast_if_v6(interface.index)?;
            socket.set_multicast_hops_v6(HOP_LIMIT)?;
            socket.set_multicast_loop_v6(false)?;
            socket.set_recv_hoplimit_v6(true)?;
            socket.join_multicast_v6(&ALL_ROUTERS, interface.index)?;
            UdpSocket::from_std(socket.into())
        };
        let socket = open().context("cannot open a socket for router advertisements")?;
        Ok(Self { socket, interface: interface.index })
    }

    /// Waits for a packet.
    ///
    /// # Errors
    /// The kernel refuses; the next call may succeed.
    pub(super) async fn receive(&self) -> io::Result<Heard> {
        self.socket.async_io(Interest::READABLE, || receive(&self.socket)).await
    }

    /// Sends a packet to all nodes of the link.
    ///
    /// # Errors
    /// The interface has no address to send from, or the kernel's queue is full.
    pub(super) fn send(&self, packet: &[u8]) -> io::Result<()> {
        let all = SocketAddrV6::new(ALL_NODES, 0, 0, self.interface);
        let sent = sendto(self.socket.as_raw_fd(), packet, &SockaddrIn6::from(all), MsgFlags::MSG_DONTWAIT);
        Ok(sent.map(drop)?)
    }
}

fn receive(socket: &UdpSocket) -> io::Result<Heard> {
    let mut buffer = [0; PACKET];
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let mut control = nix::cmsg_space!(c_int);
    let message = recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let hop_limit = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv6HopLimit(limit) => u8::try_from(limit).ok(),
        _ => None,
    });
    let sender = message.address.map_or(Ipv6Addr::UNSPECIFIED, |address| address.ip());
    let length = message.bytes;
    Ok(Heard { packet: buffer[..length].to_vec(), sender, hop_limit })
}
