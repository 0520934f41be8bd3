//! A packet socket for DHCP: whole frames, as firmware sends and hears them, many by one system call.
//!
//! The kernel's own stack is not asked: it would choose a source address, copy broadcasts to this host, and wake nobody sooner. A
//! filter in the kernel drops all else before it is copied.

use std::{
    os::fd::{AsFd as _, AsRawFd as _},
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::{
    ifaddrs::getifaddrs,
    libc::{
        AF_PACKET, BPF_ABS, BPF_B, BPF_H, BPF_IND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_LD, BPF_LDX, BPF_MSH, BPF_RET,
        ETH_P_IP,
    },
    poll::{PollFd, PollFlags, ppoll},
    sys::{
        socket::{bind, setsockopt, sockopt},
        time::TimeSpec,
    },
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::frame::{self, Sender};
use crate::bench::{
    burst::{Burst, SLOTS},
    volley::Volley,
};

/// One end of the wire, where messages to one port are heard.
pub(crate) struct Link {
    socket: Socket,
    port: u16,
    burst: Burst,
    volley: Volley,
}

impl Link {
    /// Opens the interface for messages to this port.
    ///
    /// # Errors
    /// There is no such interface, or this process may not have a packet socket.
    pub(crate) fn open(interface: &str, port: u16) -> Result<Self> {
        // What the kernel itself says of the interface is what a packet socket is bound to (packet(7)); it names no protocol, so the
        // socket keeps its own.
        let address = getifaddrs()?
            .filter(|entry| entry.interface_name == interface)
            .find_map(|entry| entry.address?.as_link_addr().copied())
            .with_context(|| format!("there is no interface {interface}"))?;
        let protocol = Protocol::from(i32::from((ETH_P_IP as u16).to_be()));
        let open = || -> Result<Socket> {
            let socket = Socket::new(Domain::from(AF_PACKET), Type::RAW, Some(protocol))?;
            socket.attach_filter(&only(port))?;
            bind(socket.as_raw_fd(), &address)?;
            // Beyond what the system allows everybody, where that is possible.
            setsockopt(&socket, sockopt::RcvBufForce, &QUEUE_BYTES)
                .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &QUEUE_BYTES))?;
            Ok(socket)
        };
        let socket = open().with_context(|| format!("cannot open {interface} for DHCP"))?;
        Ok(Self { socket, port, burst: Burst::new(), volley: Volley::new() })
    }

    /// Puts a message with those that wait for [`Self::flush`].
    ///
    /// # Errors
    /// Those of [`Self::flush`], where that is due.
    pub(crate) fn send(&mut self, from: &Sender, message: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        if self.volley.is_full() {
            self.flush()?;
        }
        if let Some(frame) = self.volley.next() {
            frame::write(from, frame, message);
        }
        Ok(())
    }

    /// Sends all messages that wait.
    ///
    /// # Errors
    /// The network refuses.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.volley.send(&self.socket)
    }

    /// Waits for a message; returns whether there is one.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn wait(&self, limit: Duration) -> Result<bool> {
        let mut waits = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        Ok(ppoll(&mut waits, Some(TimeSpec::from_duration(limit)), None)? > 0)
    }

    /// The messages that are there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn receive(&mut self) -> Result<impl Iterator<Item = &[u8]>> {
        let port = self.port;
        let frames = self.burst.receive(&self.socket, SLOTS)?;
        Ok(frames.filter_map(move |frame| frame::message(frame, port)))
    }
}

/// Enough for every message that is sent before the reader's turn comes again.
const QUEUE_BYTES: usize = 8 << 20;

/// Takes whole UDP datagrams to this port (bpf(4)); the socket hears IPv4 alone.
fn only(port: u16) -> [SockFilter; 9] {
    let [octet, two] = [BPF_LD | BPF_ABS | BPF_B, BPF_LD | BPF_ABS | BPF_H];
    let [is, has] = [BPF_JMP | BPF_JEQ, BPF_JMP | BPF_JSET];
    [
        (octet, 0, 0, 23),
        (is, 0, 6, 17),
        // A fragment's offset.
        (two, 0, 0, 20),
        (has, 4, 0, 0x1fff),
        // The header's length, and the port behind it.
        (BPF_LDX | BPF_MSH | BPF_B, 0, 0, 14),
        (BPF_LD | BPF_IND | BPF_H, 0, 0, 16),
        (is, 0, 1, u32::from(port)),
        (BPF_RET, 0, 0, u32::from(u16::MAX)),
        (BPF_RET, 0, 0, 0),
    ]
    .map(|(code, yes, no, number)| SockFilter::new(code as u16, yes, no, number))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use lab_tests::{BRIDGE, NEIGHBOUR, Namespace, SERVER};

    use super::*;
    use crate::bench::{
        dhcp::frame::{CLIENT_PORT, SERVER_PORT},
        site::Site,
    };

    #[test]
    fn the_kernel_copies_messages_to_the_port_alone() {
        let namespace = Namespace::enter().unwrap();
        let site = Site::new(&namespace, &[]).unwrap();
        let mut server = Link::open(BRIDGE, SERVER_PORT).unwrap();

        site.run(|| {
            // In pieces, of which the second begins with what looks like the port.
            let socket = UdpSocket::bind((NEIGHBOUR, CLIENT_PORT)).unwrap();
            socket.send_to(&[0, 67].repeat(1000), (SERVER, 9)).unwrap();
            socket.send_to(b"to another port", (SERVER, 9)).unwrap();
            let mut link = Link::open("eth0", CLIENT_PORT).unwrap();
            let sender = |port| Sender { mac: [2, 0, 0, 0, 0, 1], address: NEIGHBOUR, port };
            link.send(&sender(SERVER_PORT), |octets| octets.extend(b"an answer")).unwrap();
            for _ in 0..SLOTS {
                link.send(&sender(CLIENT_PORT), |octets| octets.extend(b"a question")).unwrap();
            }
            link.flush().unwrap();
        })
        .unwrap();

        let mut heard = Vec::new();
        while heard.len() < SLOTS && server.wait(Duration::from_secs(60)).unwrap() {
            let frames = server.burst.receive(&server.socket, SLOTS).unwrap();
            heard.extend(frames.map(|frame| frame::message(frame, SERVER_PORT).map(<[_]>::to_vec)));
        }
        assert_eq!(heard, vec![Some(b"a question".to_vec()); SLOTS]);
    }
}
