//! The task that carries one transfer: a socket, a timer, and nothing to decide.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;
use pxe_proto::tftp::{Action, ErrorCode, Outcome, Packet, Progress, ReadRequest, Stray, Transfer};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Carrier {
    client: SocketAddr,
    socket: UdpSocket,
    transfer: Transfer<Bytes>,
    /// Requests that came to the listening port from this client.
    requests: mpsc::Receiver<ReadRequest>,
    /// The packet to send; one buffer for all of them.
    packet: Vec<u8>,
    /// Whether the packet still waits for room in the socket.
    unsent: bool,
    /// What came in last.
    datagram: [u8; DATAGRAM_MAX],
    alarm: Pin<Box<Sleep>>,
    next: Option<ReadRequest>,
}

/// What a transfer leaves behind.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) client: SocketAddr,
    pub(super) file: String,
    pub(super) outcome: Outcome,
    pub(super) progress: Progress,
    /// A request of the same client that the transfer gave way to, or that came when it was over.
    pub(super) next: Option<ReadRequest>,
}

impl Carrier {
    pub(super) fn new(
        client: SocketAddr,
        socket: UdpSocket,
        transfer: Transfer<Bytes>,
        requests: mpsc::Receiver<ReadRequest>,
    ) -> Self {
        let alarm = Box::pin(sleep_until(transfer.poll_timeout().into()));
        Self {
            client,
            socket,
            transfer,
            requests,
            packet: Vec::new(),
            unsent: false,
            datagram: [0; DATAGRAM_MAX],
            alarm,
            next: None,
        }
    }

    /// Carries the transfer to its end.
    pub(super) async fn run(mut self, shutdown: CancellationToken) -> Ended {
        let mut action = Action::Send;
        let outcome = loop {
            action = match action {
                Action::Send => match self.send() {
                    Ok(()) => self.wait(&shutdown).await,
                    Err(PortClosed) => self.transfer.handle_unreachable(),
                },
                Action::Ignore(reason) => {
                    if reason != Stray::Early {
                        debug!(client = %self.client, %reason, "ignored");
                    }
                    self.wait(&shutdown).await
                }
                Action::End(outcome) => break outcome,
            };
        };
        self.ended(outcome)
    }

    /// Sends what is due, as far as the socket has room.
    fn send(&mut self) -> Result<(), PortClosed> {
        while self.unsent || self.transfer.next_packet(&mut self.packet) {
            self.unsent = false;
            match self.socket.try_send(&self.packet) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.unsent = true;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(PortClosed),
                // A full queue or a missing route loses this packet as the network would: the timer sees to it.
                Err(error) => debug!(client = %self.client, %error, "sending"),
            }
        }
        Ok(())
    }

    /// Waits until something happens.
    async fn wait(&mut self, shutdown: &CancellationToken) -> Action {
        // The time of the next timeout moves on with each window. One early ring costs less than that many settings.
        let due = self.transfer.poll_timeout().into();
        if due < self.alarm.deadline() || self.alarm.is_elapsed() {
            self.alarm.as_mut().reset(due);
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => self.stop(),
            received = self.socket.recv(&mut self.datagram) => match received {
                Ok(length) => self.transfer.handle(&self.datagram[..length], now()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => self.transfer.handle_unreachable(),
                Err(error) => {
                    debug!(client = %self.client, %error, "receiving");
                    Action::Send
                }
            },
            Some(request) = self.requests.recv() => {
                let action = self.transfer.handle_request(&request, now());
                if matches!(action, Action::End(_)) {
                    self.next = Some(request);
                }
                action
            }
            () = &mut self.alarm => self.transfer.handle_timeout(now()),
            _ = self.socket.writable(), if self.unsent => Action::Send,
        }
    }

    /// Ends the transfer and tells the client, so that it need not find out by waiting.
    fn stop(&mut self) -> Action {
        Packet::Error { code: ErrorCode::NOT_DEFINED, message: b"the server is stopping" }.write(&mut self.packet);
        if let Err(error) = self.socket.try_send(&self.packet) {
            debug!(client = %self.client, %error, "sending");
        }
        self.transfer.stop()
    }

    fn ended(mut self, outcome: Outcome) -> Ended {
        // From here on the listener finds the channel closed and starts the next transfer by itself.
        self.requests.close();
        let next = self.next.or_else(|| self.requests.try_recv().ok());
        let progress = self.transfer.progress(now());
        Ended { client: self.client, file: self.transfer.request().name.clone(), outcome, progress, next }
    }
}

/// Nobody listens on the client's port.
struct PortClosed;

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Longer than an acknowledgement, and than any error message worth reading.
const DATAGRAM_MAX: usize = 256;
