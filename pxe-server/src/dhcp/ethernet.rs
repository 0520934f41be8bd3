//! Packet sockets (packet(7)) on the lab's interface: frames as they are on the wire.

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd as _;

use anyhow::Context as _;
use lab_model::MacAddr;
use nix::ifaddrs::getifaddrs;
use nix::libc::{AF_PACKET, ARPHRD_ETHER};
use nix::sys::socket::{LinkAddr, MsgFlags, bind, sendmsg};
use socket2::{Domain, Protocol, Socket, Type};

use crate::interface::Interface;

/// A packet socket that is bound to an interface.
#[derive(Debug)]
pub(super) struct Ethernet {
    pub(super) socket: Socket,
    /// The interface's own address, as it was when the socket was opened.
    pub(super) mac: MacAddr,
}

/// Which frames a packet socket is given: those of this EtherType, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hears {
    Nothing,
    Type(u16),
}

impl Ethernet {
    /// Opens it; needs CAP_NET_RAW.
    ///
    /// # Errors
    /// The kernel refuses, or the interface is no Ethernet.
    pub(super) fn open(interface: &Interface, hears: Hears) -> anyhow::Result<Self> {
        // What the kernel itself says of the interface is what a packet socket is bound to; it names no protocol, so the socket keeps
        // its own.
        let link = getifaddrs()
            .context("cannot list interfaces")?
            .filter(|entry| entry.interface_name == interface.name)
            .find_map(|entry| entry.address?.as_link_addr().copied())
            .filter(|link| link.hatype() == ARPHRD_ETHER);
        let mac = link.as_ref().and_then(LinkAddr::addr).map(MacAddr::new);
        let (Some(link), Some(mac)) = (link, mac) else {
            anyhow::bail!("{} is no Ethernet", interface.name);
        };
        let protocol = match hears {
            Hears::Nothing => None,
            Hears::Type(number) => Some(Protocol::from(i32::from(number.to_be()))),
        };
        let open = || -> io::Result<Socket> {
            let socket = Socket::new(Domain::from(AF_PACKET), Type::RAW, protocol)?;
            socket.set_nonblocking(true)?;
            bind(socket.as_raw_fd(), &link)?;
            Ok(socket)
        };
        Ok(Self { socket: open().context("cannot open a packet socket")?, mac })
    }

    /// Sends a frame that consists of these parts.
    ///
    /// # Errors
    /// The interface is down or does not carry frames of this length, or the kernel's queue is full.
    pub(super) fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let sent = sendmsg::<()>(self.socket.as_raw_fd(), parts, &[], MsgFlags::MSG_DONTWAIT, None);
        Ok(sent.map(drop)?)
    }
}
