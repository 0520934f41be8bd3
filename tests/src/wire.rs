//! What goes over the lab's network: TFTP requests, seen on the wire, whichever server answers them.

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::SystemTime,
};

use anyhow::{Context, Result};
use nix::sys::{
    socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt::ReceiveTimeout},
    time::{TimeVal, TimeValLike as _},
};

/// Listens to every interface of this thread's namespace until it is dropped.
#[derive(Debug)]
pub struct Wire {
    requests: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

/// A TFTP read request (RFC 1350 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it came.
    pub at: SystemTime,
    /// The file's name as asked for.
    pub file: String,
}

impl Wire {
    /// Starts to listen.
    ///
    /// # Errors
    /// This process may not open a packet socket here.
    pub fn listen() -> Result<Self> {
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
            .context("cannot listen to the lab's network")?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(100))?;
        let (requests, ended) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let (heard, over) = (requests.clone(), ended.clone());
        let listener = thread::spawn(move || follow(socket, &heard, &over));
        Ok(Self { requests, ended, listener: Some(listener) })
    }

    /// The read requests that were seen so far; one that a bridge forwards is seen more than once.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = self.listener.take().map(JoinHandle::join);
    }
}

fn follow(socket: OwnedFd, requests: &Mutex<Vec<Request>>, ended: &AtomicBool) {
    let mut socket = File::from(socket);
    let mut frame = vec![0; 65_536];
    while !ended.load(Ordering::Relaxed) {
        match socket.read(&mut frame) {
            Ok(length) => {
                if let Some(file) = read_request(&frame[..length]) {
                    let request = Request { at: SystemTime::now(), file };
                    requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return,
        }
    }
}

/// The file that an Ethernet frame asks for, where it is a TFTP read request over IPv4.
fn read_request(frame: &[u8]) -> Option<String> {
    let packet = frame.get(14..).filter(|_| frame[12..14] == IPV4)?;
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let datagram = packet.get(header..).filter(|_| packet.get(9) == Some(&UDP))?;
    let request = datagram.get(8..).filter(|_| datagram[2..4] == TFTP)?.strip_prefix(&READ_REQUEST)?;
    let end = request.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&request[..end]).into_owned())
}

/// The EtherType of RFC 894.
const IPV4: [u8; 2] = [0x08, 0x00];
/// The protocol number of RFC 768.
const UDP: u8 = 17;
/// The server's port, in the order in which it is sent (RFC 1350 §4).
const TFTP: [u8; 2] = [0, 69];
/// RFC 1350 §5, opcode 1.
const READ_REQUEST: [u8; 2] = [0, 1];

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, time::Duration};

    use super::*;
    use crate::{namespace::Namespace, process::until};

    #[test]
    fn sees_who_asks_for_which_file() {
        let _namespace = Namespace::enter().unwrap();
        let wire = Wire::listen().unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();

        client.send_to(b"\0\x01ipxe-arm64.efi\0octet\0", "127.0.0.1:69").unwrap();

        let seen = until(Duration::from_secs(10), || Ok(wire.requests().first().cloned())).unwrap();
        assert_eq!(seen.map(|request| request.file), Some("ipxe-arm64.efi".to_owned()));
    }

    #[test]
    fn other_packets_are_no_requests() {
        let frame = |protocol: u8, port: u8, opcode: u8| {
            let mut frame = vec![0; 14 + 20 + 8];
            (frame[12], frame[14], frame[23], frame[37]) = (8, 0x45, protocol, port);
            frame.extend([0, opcode, b'a', 0]);
            frame
        };

        assert_eq!(read_request(&frame(17, 69, 1)), Some("a".to_owned()));
        for other in [frame(6, 69, 1), frame(17, 67, 1), frame(17, 69, 2), vec![0; 10], vec![]] {
            assert_eq!(read_request(&other), None);
        }
    }
}
