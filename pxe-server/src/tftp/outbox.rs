//! Packets on their way out: a whole burst of them with one system call, where the kernel and the route allow it.
//!
//! The kernel's part is UDP_SEGMENT (udp(7), since Linux 4.18): what is written once passes through the network stack once,
//! and becomes packets at its end.

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::sockopt::UdpGsoSegment;
use nix::sys::socket::{ControlMessage, MsgFlags, getsockopt, sendmsg};
use pxe_proto::tftp::{Burst, Transfer};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// What a connected socket has still to send.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Packets of the same length, but for the last, one directly behind the other.
    packets: Vec<u8>,
    each: usize,
    /// How much of them has left.
    sent: usize,
    together: Together,
}

/// Whether packets may leave with one system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Together {
    /// Until the route refuses.
    Yes,
    /// The kernel knows of no such thing, or refused.
    No,
}

impl Together {
    /// Asks the kernel whether it knows of it: one that does not would send the whole burst as one long packet.
    pub(super) fn probe(socket: &UdpSocket) -> Self {
        if getsockopt(socket, UdpGsoSegment).is_ok() { Self::Yes } else { Self::No }
    }
}

impl Outbox {
    pub(super) fn new(together: Together) -> Self {
        Self { packets: Vec::new(), each: 0, sent: 0, together }
    }

    /// Whether there is something that waits for room in the socket.
    pub(super) fn waits(&self) -> bool {
        self.sent < self.packets.len()
    }

    /// Forgets what waits, as newer packets take its place.
    pub(super) fn clear(&mut self) {
        self.packets.clear();
        self.sent = 0;
    }

    /// Takes what the transfer has to send next. Returns whether there is something.
    pub(super) fn fill<F: AsRef<[u8]>>(&mut self, transfer: &mut Transfer<F>) -> bool {
        self.sent = 0;
        self.each = transfer.next_packets(BURST, &mut self.packets).unwrap_or_default();
        self.waits()
    }

    /// Sends until nothing is left.
    ///
    /// # Errors
    /// The socket has no room, or the system says why a packet cannot be sent; that packet then counts as sent, and is lost.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> io::Result<()> {
        while self.waits() {
            let left = &self.packets[self.sent..];
            if self.together == Together::Yes && left.len() > self.each {
                match send_together(socket, left, self.each) {
                    Err(error) if refuses(&error) => self.together = Together::No,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                    done => {
                        self.clear();
                        return done;
                    }
                }
                continue;
            }
            let packet = &left[..self.each.min(left.len())];
            let done = socket.try_send(packet);
            if !matches!(&done, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                self.sent += packet.len();
            }
            done?;
        }
        Ok(())
    }
}

fn send_together(socket: &UdpSocket, packets: &[u8], each: usize) -> io::Result<()> {
    let each = u16::try_from(each).map_err(|_| Errno::EMSGSIZE)?;
    socket.try_io(Interest::WRITABLE, || {
        let (pieces, segments) = ([IoSlice::new(packets)], [ControlMessage::UdpGsoSegments(&each)]);
        sendmsg::<()>(socket.as_raw_fd(), &pieces, &segments, MsgFlags::empty(), None)?;
        Ok(())
    })
}

/// Packets longer than the route carries in one piece, an interface that computes no checksums, a tunnel: then each packet goes
/// by itself, in fragments if need be.
fn refuses(error: &io::Error) -> bool {
    let refusals = [Errno::EINVAL, Errno::EIO, Errno::EMSGSIZE, Errno::EOPNOTSUPP, Errno::ENOPROTOOPT];
    error.raw_os_error().is_some_and(|code| refusals.contains(&Errno::from_raw(code)))
}

/// The kernel's limits: UDP_MAX_SEGMENTS, and the payload of one IPv4 datagram.
const BURST: Burst = Burst { packets: 64, octets: 65_507 };

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use lab_tests::{Namespace, process::run};
    use pxe_proto::tftp::{Admission, Limits, admit};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_window_arrives_as_the_same_packets_however_it_leaves() {
        for together in [Together::Yes, Together::No] {
            let (received, after) = sent(together).await;

            assert!(received == one_by_one(), "{together:?}");
            assert_eq!(after, together);
        }
    }

    #[tokio::test]
    async fn packets_longer_than_the_route_carries_leave_one_by_one() {
        let _namespace = Namespace::enter().expect("a network namespace");
        run("ip", &["link", "set", "lo", "mtu", "1280"]).expect("a short route");

        let (received, after) = sent(Together::Yes).await;

        assert!(received == one_by_one());
        assert_eq!(after, Together::No);
    }

    /// What arrives of a window, and how the outbox would send the next.
    async fn sent(together: Together) -> (Vec<Vec<u8>>, Together) {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        server.connect(client.local_addr().expect("an address")).await.expect("a client");
        let (mut outbox, mut transfer) = (Outbox::new(together), transfer());

        server.writable().await.expect("room in the socket");
        while outbox.fill(&mut transfer) {
            outbox.send(&server).expect("room for all of the window");
        }

        let mut received = Vec::new();
        for _ in 0..one_by_one().len() {
            let mut datagram = [0; 2048];
            let length = client.recv(&mut datagram).await.expect("a packet");
            received.push(datagram[..length].to_vec());
        }
        (received, outbox.together)
    }

    fn one_by_one() -> Vec<Vec<u8>> {
        let (mut transfer, mut packet) = (transfer(), Vec::new());
        std::iter::from_fn(|| transfer.next_packet(&mut packet).then(|| packet.clone())).collect()
    }

    /// Has a window of sixteen packets to send, of which the last is short.
    fn transfer() -> Transfer<Vec<u8>> {
        let now = Instant::now().into_std();
        let request = b"\0\x01file\0octet\0blksize\x001468\0windowsize\x0016\0";
        let Admission::Read(request) = admit(request) else { panic!("a read request") };
        let file = (0..15 * 1468 + 100).map(|index| (index / 7) as u8).collect();
        let mut transfer = Transfer::start(request, file, Limits::default(), now);
        assert!(transfer.next_packet(&mut Vec::new()), "the option acknowledgement");
        transfer.handle(b"\0\x04\0\0", now);
        transfer
    }
}
