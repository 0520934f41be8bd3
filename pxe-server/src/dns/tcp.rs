//! Questions by TCP (RFC 7766): a task for each connection, which asks one after the other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::{Asked, REST};
use crate::crowd::Crowd;

/// How many connections there may be at a time, at each address.
const CONNECTIONS: usize = 64;

/// How many of them one client may have.
const CONNECTIONS_PER_CLIENT: usize = 8;

/// How long a connection may say nothing, or take for one question or answer (RFC 7766 §6.2.3: some seconds).
const PATIENCE: Duration = Duration::from_secs(10);

/// Longer than any question that is one; who sends more of it wants something else.
const QUESTION: usize = 1500;

/// Takes connections until it is dropped, and with it they end.
pub(super) async fn serve(listener: TcpListener, questions: mpsc::Sender<Asked>) {
    let (places, crowd) = (Arc::new(Semaphore::new(CONNECTIONS)), Crowd::new(CONNECTIONS_PER_CLIENT));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => {
                    // Who finds no place is let go at once, and may come again.
                    let place = places.clone().try_acquire_owned().ok().zip(crowd.join(client.ip()));
                    let Some(place) = place else { continue };
                    let questions = questions.clone();
                    connections.spawn(async move {
                        if let Err(error) = converse(stream, client, questions).await {
                            debug!(%client, %error, "a DNS connection ended");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!(%error, "accepting DNS connections");
                    sleep(REST).await;
                }
            },
        }
    }
}

/// Answers one question after the other, until the client has no more.
async fn converse(mut stream: TcpStream, client: SocketAddr, questions: mpsc::Sender<Asked>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let Some(message) = timeout(PATIENCE, read(&mut stream)).await?? else { return Ok(()) };
        let (answer, answered) = oneshot::channel();
        if questions.send(Asked { message, client, answer }).await.is_err() {
            return Ok(());
        }
        // Who is to get no answer is not to ask on.
        let Ok(mut message) = answered.await else { return Ok(()) };
        let length = u16::try_from(message.len()).map_err(io::Error::other)?;
        // In one piece (RFC 7766 §8).
        message.splice(..0, length.to_be_bytes());
        timeout(PATIENCE, stream.write_all(&message)).await??;
    }
}

/// One question behind its length; nothing where the client has closed, or sends what is none.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let length = match stream.read_u16().await {
        Ok(length) => usize::from(length),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > QUESTION {
        return Ok(None);
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(Some(message))
}
