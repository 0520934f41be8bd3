//! Many datagrams by one system call, so that clients are faster than the servers that they measure.

use std::{io::IoSliceMut, net::UdpSocket, os::fd::AsRawFd as _};

use anyhow::{Context as _, Result};
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, MultiHeaders, recvmmsg},
};

/// Memory for the datagrams of one system call.
pub(crate) struct Burst {
    memory: Vec<u8>,
    headers: MultiHeaders<()>,
}

/// Longer than any datagram that Ethernet carries in one piece.
pub(crate) const SLOT: usize = 2048;
/// How many datagrams one system call takes at most.
pub(crate) const SLOTS: usize = 64;

impl Burst {
    pub(crate) fn new() -> Self {
        Self { memory: vec![0; SLOT * SLOTS], headers: MultiHeaders::preallocate(SLOTS, None) }
    }

    /// The datagrams that are there, and no more than these.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, most: usize) -> Result<impl Iterator<Item = &[u8]>> {
        let mut slots: Vec<_> =
            self.memory.chunks_exact_mut(SLOT).take(most).map(|slot| [IoSliceMut::new(slot)]).collect();
        let received = recvmmsg(socket.as_raw_fd(), &mut self.headers, slots.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
        let lengths: Vec<_> = match received {
            Ok(received) => received.map(|datagram| datagram.bytes).collect(),
            Err(Errno::EAGAIN) => Vec::new(),
            Err(error) => return Err(error).context("receiving"),
        };
        Ok(lengths.into_iter().zip(self.memory.chunks_exact(SLOT)).map(|(length, slot)| &slot[..length]))
    }
}
