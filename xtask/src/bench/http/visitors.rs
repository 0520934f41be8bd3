//! Many HTTP clients on one thread, each with a connection of its own.
//!
//! Bodies are counted and not looked at: the kernel throws them away without copying (`MSG_TRUNC`, tcp(7)), so that it is the
//! server which sets the pace.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::fd::AsRawFd as _,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        socket::{AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, bind, connect, recv, socket},
    },
};

/// Who asks for what.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) from: Ipv4Addr,
    pub(crate) path: String,
}

/// What came back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answers {
    pub(crate) count: usize,
    /// Of bodies.
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
}

/// Has every visitor ask this often, one time after the other on one connection.
///
/// # Errors
/// An answer is no success, or a connection ends early.
pub(crate) fn ask(server: SocketAddr, visits: &[Visit], each: usize) -> Result<Answers> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let mut visitors = Vec::new();
    for (number, visit) in visits.iter().enumerate() {
        let visitor = Visitor::arrive(server, visit, each)?;
        epoll.add(&visitor.connection, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        visitors.push(visitor);
    }
    let started = Instant::now();
    visitors.iter_mut().try_for_each(Visitor::ask)?;
    let mut buffer = vec![0; 1 << 20];
    let (mut left, mut bytes) = (visits.len() * each, 0);
    let mut events = [EpollEvent::empty(); 64];
    while left > 0 {
        ensure!(started.elapsed() < LIMIT, "{left} answers are missing after {LIMIT:?}");
        let ready = epoll.wait(&mut events, EpollTimeout::from(100_u8))?;
        for event in &events[..ready] {
            let visitor = &mut visitors[usize::try_from(event.data())?];
            if let Some(length) = visitor.receive(&mut buffer)? {
                left -= 1;
                bytes += length;
            }
        }
    }
    Ok(Answers { count: visits.len() * each, bytes, elapsed: started.elapsed() })
}

const LIMIT: Duration = Duration::from_secs(120);

struct Visitor {
    connection: TcpStream,
    request: Vec<u8>,
    /// How often it still asks.
    left: usize,
    /// The length of the body that is coming, once that is known.
    length: Option<u64>,
    /// What has come of it.
    received: u64,
}

impl Visitor {
    fn arrive(server: SocketAddr, visit: &Visit, each: usize) -> Result<Self> {
        let SocketAddr::V4(server) = server else { bail!("{server} is no IPv4 address") };
        let connection = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        bind(connection.as_raw_fd(), &SockaddrIn::from(std::net::SocketAddrV4::new(visit.from, 0)))?;
        connect(connection.as_raw_fd(), &SockaddrIn::from(server)).with_context(|| format!("cannot reach {server}"))?;
        let connection = TcpStream::from(connection);
        connection.set_nodelay(true)?;
        let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", visit.path, server.ip()).into_bytes();
        Ok(Self { connection, request, left: each, length: None, received: 0 })
    }

    fn ask(&mut self) -> Result<()> {
        self.left -= 1;
        (self.length, self.received) = (None, 0);
        Ok(self.connection.write_all(&self.request)?)
    }

    /// Takes what is there. Returns the length of the body when it is complete; then the visitor has asked again.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<u64>> {
        let length = match self.length {
            Some(length) => {
                match recv(self.connection.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT) {
                    Ok(0) => bail!("the server closed the connection amid an answer"),
                    Ok(received) => self.received += received as u64,
                    Err(Errno::EAGAIN) => {}
                    Err(error) => return Err(error.into()),
                }
                length
            }
            None => {
                let read = self.connection.read(&mut buffer[..HEAD_MAX])?;
                let answer = &buffer[..read];
                // Both servers write a head with one system call, and so it comes at once.
                let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
                let end = end.with_context(|| format!("no head: {}", answer.escape_ascii()))?;
                let head = std::str::from_utf8(&answer[..end])?;
                ensure!(head.starts_with("HTTP/1.1 200 "), "refused: {head}");
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
                });
                self.received = (read - end - 4) as u64;
                *self.length.insert(length.context("an answer without a length")?)
            }
        };
        if self.received < length {
            return Ok(None);
        }
        ensure!(self.received == length, "{} bytes of {length}", self.received);
        if self.left > 0 {
            self.ask()?;
        }
        Ok(Some(length))
    }
}

const HEAD_MAX: usize = 4096;
