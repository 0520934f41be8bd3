//! One question to one name server, from a socket of its own: whoever wants to answer in its place must guess the port, which
//! the kernel draws, and the number, which is drawn here (RFC 5452 §9.2).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use pxe_proto::dns::{Ask, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// A question, and what came of it.
pub(super) struct Exchange {
    pub(super) ask: Ask,
    pub(super) outcome: Outcome,
}

/// What came of a question.
pub(super) enum Outcome {
    /// This message answers it.
    Answer(Vec<u8>),
    /// Nobody is there.
    Unreachable(io::Error),
    /// Nobody said anything while it mattered.
    Silence,
}

/// What others send in a datagram at most, whatever was agreed.
const DATAGRAM: usize = 4096;

/// Asks, and listens for as long as the question matters.
pub(super) async fn run(ask: Ask) -> Exchange {
    let heard = async {
        match ask.transport {
            Transport::Udp => by_datagram(&ask).await,
            Transport::Tcp => by_connection(&ask).await,
        }
    };
    let outcome = match timeout(ask.limit, heard).await {
        Ok(Ok(message)) => Outcome::Answer(message),
        Ok(Err(error)) => Outcome::Unreachable(error),
        Err(_) => Outcome::Silence,
    };
    Exchange { ask, outcome }
}

async fn by_datagram(ask: &Ask) -> io::Result<Vec<u8>> {
    let any = match ask.upstream.ip() {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    // Connected, so that the kernel drops what others send, and says when nobody is there.
    socket.connect(ask.upstream).await?;
    let id = draw()?;
    socket.send(&ask.message(id)).await?;
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if ask.is_answered_by(&buffer[..length], id) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn by_connection(ask: &Ask) -> io::Result<Vec<u8>> {
    let id = draw()?;
    let mut stream = TcpStream::connect(ask.upstream).await?;
    stream.set_nodelay(true)?;
    let question = ask.message(id);
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), &question[..]].concat()).await?;
    let length = stream.read_u16().await?;
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await?;
    if ask.is_answered_by(&message, id) { Ok(message) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// A number that nobody can guess.
fn draw() -> io::Result<u16> {
    Ok(getrandom::u32()? as u16)
}
