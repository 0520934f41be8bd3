//! Many frames by one system call, written where the ones before them were: the other half of [`super::burst`].

use std::{array, io::IoSlice, os::fd::AsRawFd};

use anyhow::{Context as _, Result};
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, MultiHeaders, sendmmsg},
};

use super::burst::{SLOT, SLOTS};

/// Frames that wait to be sent.
pub(crate) struct Volley {
    frames: [Vec<u8>; SLOTS],
    count: usize,
    headers: MultiHeaders<()>,
}

impl Volley {
    pub(crate) fn new() -> Self {
        let frames = array::from_fn(|_| Vec::with_capacity(SLOT));
        Self { frames, count: 0, headers: MultiHeaders::preallocate(SLOTS, None) }
    }

    /// Whether there is no place for another frame.
    pub(crate) fn is_full(&self) -> bool {
        self.count == SLOTS
    }

    /// An empty frame to write, unless this is full.
    pub(crate) fn next(&mut self) -> Option<&mut Vec<u8>> {
        let frame = self.frames.get_mut(self.count)?;
        self.count += 1;
        frame.clear();
        Some(frame)
    }

    /// Sends all frames; one that the kernel has no room for is lost, as on any wire.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn send(&mut self, socket: &impl AsRawFd) -> Result<()> {
        let mut first = 0;
        while first < self.count {
            let slices: [_; SLOTS] = array::from_fn(|frame| [IoSlice::new(&self.frames[frame])]);
            let waiting = &slices[first..self.count];
            let sent = sendmmsg(socket.as_raw_fd(), &mut self.headers, waiting, NO_ADDRESS, [], MsgFlags::empty());
            first += match sent {
                Ok(sent) => sent.count(),
                Err(Errno::ENOBUFS | Errno::EAGAIN) => 1,
                Err(error) => return Err(error).context("sending"),
            };
        }
        self.count = 0;
        Ok(())
    }
}

/// The socket knows where everything goes.
const NO_ADDRESS: [Option<()>; SLOTS] = [None; SLOTS];
