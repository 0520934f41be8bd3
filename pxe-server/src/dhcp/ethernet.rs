//! Packet sockets (packet(7)) on the lab's interface: frames as they are on the wire.

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd as _;

use anyhow::Context as _;
use lab_model::MacAddr;
use nix::ifaddrs::getifaddrs;
use nix::libc::{AF_PACKET, ARPHRD_ETHER, sockaddr_ll};
use nix::sys::socket::{LinkAddr, MsgFlags, SockaddrLike as _, bind, sendmsg};
use socket2::{Domain, Socket, Type};

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

impl Hears {
    /// The link, for a socket that hears this there.
    fn at(self, link: &LinkAddr) -> LinkAddr {
        let Self::Type(number) = self else { return *link };
        let address = sockaddr_ll { sll_protocol: number.to_be(), ..*link.as_ref() };
        let length = Some(LinkAddr::size());
        #[expect(unsafe_code, reason = "nix makes no such address that names a protocol")]
        // SAFETY: it is read as what it is, a whole `sockaddr_ll`.
        let address = unsafe { LinkAddr::from_raw((&raw const address).cast(), length) };
        address.expect("the family and the length of an interface's address")
    }
}

impl Ethernet {
    /// Opens it; needs CAP_NET_RAW.
    ///
    /// # Errors
    /// The kernel refuses, or the interface is no Ethernet.
    pub(super) fn open(interface: &Interface, hears: Hears) -> anyhow::Result<Self> {
        // What the kernel itself says of the interface is what a packet socket is bound to.
        let link = getifaddrs()
            .context("cannot list interfaces")?
            .filter(|entry| entry.interface_name == interface.name)
            .find_map(|entry| entry.address?.as_link_addr().copied())
            .filter(|link| link.hatype() == ARPHRD_ETHER);
        let mac = link.as_ref().and_then(LinkAddr::addr).map(MacAddr::new);
        let (Some(link), Some(mac)) = (link, mac) else {
            anyhow::bail!("{} is no Ethernet", interface.name);
        };
        let open = || -> io::Result<Socket> {
            // Of no protocol until it is bound: it would hear every interface, and then the kernel waits with binding until no
            // processor is about to give it a frame, which takes as long as all else at the start.
            let socket = Socket::new(Domain::from(AF_PACKET), Type::RAW, None)?;
            socket.set_nonblocking(true)?;
            bind(socket.as_raw_fd(), &hears.at(&link))?;
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
