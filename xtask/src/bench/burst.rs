//! Many datagrams by one system call, so that clients are faster than the servers that they measure.

use std::{array, io::IoSliceMut, os::fd::AsRawFd};

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
    pub(crate) fn receive(&mut self, socket: &impl AsRawFd, most: usize) -> Result<impl Iterator<Item = &[u8]>> {
        let mut memory = self.memory.chunks_exact_mut(SLOT);
        let mut slots: [_; SLOTS] = array::from_fn(|_| [IoSliceMut::new(memory.next().expect("each has memory"))]);
        let slots = slots.iter_mut().take(most);
        let mut lengths = [0; SLOTS];
        let count = match recvmmsg(socket.as_raw_fd(), &mut self.headers, slots, MsgFlags::MSG_DONTWAIT, None) {
            Ok(received) => lengths.iter_mut().zip(received).map(|(length, datagram)| *length = datagram.bytes).count(),
            Err(Errno::EAGAIN) => 0,
            Err(error) => return Err(error).context("receiving"),
        };
        let received = lengths.into_iter().take(count).zip(self.memory.chunks_exact(SLOT));
        Ok(received.map(|(length, slot)| &slot[..length]))
    }
}
