//! A question, and the wait for its answer: the same in both families.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::console::say;

/// Sends `message`, and waits for the first packet in which `read` finds what it looks for.
pub(super) fn exchange<T>(
    socket: &UdpSocket,
    message: &[u8],
    to: SocketAddr,
    wait: Duration,
    read: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    if let Err(error) = socket.send_to(message, to) {
        // ENETDOWN and its like pass; a send that fails is a packet that got lost.
        say(format_args!("cannot send to {}: {error}", to.ip()));
    }
    let deadline = Instant::now() + wait;
    let mut packet = [0; 1500];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut packet) {
            Ok(length) => {
                if let Some(found) = read(&packet[..length]) {
                    return Ok(Some(found));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The other side's port is closed: another kind of silence.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
}

/// A number that other machines, which start at the same time, do not have: the standard library's own random seed.
pub(super) fn transaction() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}

/// How long each question for any server waits for an offer, in seconds: about a minute in all, which outlasts a switch that first looks for loops.
pub(super) const OFFER_WAITS: [u64; 7] = [1, 2, 4, 8, 16, 16, 16];

/// How long each question for the chosen server waits for its acknowledgement, in seconds.
pub(super) const REQUEST_WAITS: [u64; 3] = [2, 4, 8];
