//! The ARP socket.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;

use anyhow::Context as _;
use lab_model::MacAddr;
use nix::libc::ETH_P_ARP;
use nix::sys::socket::{MsgFlags, recv, send};
use pxe_proto::dhcp::arp::{self, Claim};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::ethernet::{Ethernet, Hears};
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
        let Ethernet { socket, mac } = Ethernet::open(interface, Hears::Type(ETH_P_ARP as u16))?;
        Ok(Self { socket: UdpSocket::from_std(socket.into()).context("cannot wait for ARP")?, own: mac })
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
