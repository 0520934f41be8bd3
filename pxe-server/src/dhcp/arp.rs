//! The ARP socket.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;

use anyhow::Context as _;
use lab_model::MacAddr;
use nix::ifaddrs::getifaddrs;
use nix::libc::{AF_PACKET, ARPHRD_ETHER, ETH_P_ARP};
use nix::sys::socket::{LinkAddr, MsgFlags, bind, recv, send};
use pxe_proto::dhcp::arp::{self, Claim};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::interface::Interface;

/// Hears the ARP of the lab's interface, and asks there.
#[derive(Debug)]
pub(super) struct ArpSocket {
    /// No UDP: but the runtime waits for any socket alike, and this is its safe name for one.
    socket: UdpSocket,
    own: MacAddr,
}

/// Longer than ARP's frames, without what pads them.
const FRAME: usize = 64;

impl ArpSocket {
    /// Opens it; needs CAP_NET_RAW and a runtime.
    ///
    /// # Errors
    /// The kernel refuses, or the interface is no Ethernet.
    pub(super) fn open(interface: &Interface) -> anyhow::Result<Self> {
        // What the kernel itself says of the interface is what a packet socket is bound to (packet(7)); it names no protocol, so the
        // socket keeps its own.
        let link = getifaddrs()
            .context("cannot list interfaces")?
            .filter(|entry| entry.interface_name == interface.name)
            .find_map(|entry| entry.address?.as_link_addr().copied())
            .filter(|link| link.hatype() == ARPHRD_ETHER);
        let own = link.as_ref().and_then(LinkAddr::addr).map(MacAddr::new);
        let (Some(link), Some(own)) = (link, own) else {
            anyhow::bail!("{} is no Ethernet", interface.name);
        };
        let open = || -> io::Result<UdpSocket> {
            let protocol = Protocol::from(i32::from((ETH_P_ARP as u16).to_be()));
            let socket = Socket::new(Domain::from(AF_PACKET), Type::RAW, Some(protocol))?;
            socket.set_nonblocking(true)?;
            bind(socket.as_raw_fd(), &link)?;
            UdpSocket::from_std(socket.into())
        };
        Ok(Self { socket: open().context("cannot open a socket for ARP")?, own })
    }

    /// Asks everyone on the link whether they have the address.
    ///
    /// # Errors
    /// The interface is down, or the kernel's queue is full.
    pub(super) fn ask(&self, address: Ipv4Addr) -> io::Result<()> {
        let frame = arp::probe(self.own, address);
        Ok(send(self.socket.as_raw_fd(), &frame, MsgFlags::MSG_DONTWAIT).map(drop)?)
    }

    /// Waits until there may be a frame.
    ///
    /// # Errors
    /// The runtime ends.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Takes a frame that is there already; `None` where it claims nothing.
    ///
    /// # Errors
    /// `WouldBlock`: there is none.
    pub(super) fn try_receive(&self) -> io::Result<Option<Claim>> {
        let mut frame = [0; FRAME];
        let receive = || Ok(recv(self.socket.as_raw_fd(), &mut frame, MsgFlags::MSG_DONTWAIT)?);
        let length = self.socket.try_io(Interest::READABLE, receive)?;
        Ok(arp::claim(&frame[..length]))
    }
}
