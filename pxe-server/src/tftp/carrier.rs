//! The task that carries one transfer: a socket, a timer, and nothing to decide.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use pxe_proto::tftp::{Action, Admission, ErrorCode, Outcome, Packet, Progress, ReadRequest, Stray, Transfer, admit};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tracing::debug;

use super::outbox::{Outbox, Together};

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Carrier {
    client: SocketAddr,
    socket: UdpSocket,
    transfer: Transfer<Bytes>,
    /// Requests that came to the listening port from this client.
    requests: mpsc::Receiver<ReadRequest>,
    /// Whether this client has ever answered, as the listener sees it.
    answered: Arc<AtomicBool>,
    outbox: Outbox,
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
        answered: Arc<AtomicBool>,
        together: Together,
    ) -> Self {
        let alarm = Box::pin(sleep_until(transfer.poll_timeout().into()));
        Self {
            client,
            socket,
            transfer,
            requests,
            answered,
            outbox: Outbox::new(together),
            datagram: [0; DATAGRAM_MAX],
            alarm,
            next: None,
        }
    }

    /// Carries the transfer to its end.
    pub(super) async fn run(mut self, shutdown: CancellationToken) -> Ended {
        // One for the whole transfer: each would take its place in a list that all transfers share.
        let mut stopping = pin!(shutdown.cancelled());
        let mut action = Action::Send;
        let outcome = loop {
            action = match action {
                Action::Send => match self.send() {
                    Ok(()) => self.wait(stopping.as_mut()).await,
                    Err(PortClosed) => self.transfer.handle_unreachable(),
                },
                Action::Ignore(reason) => {
                    if reason != Stray::Early {
                        debug!(client = %self.client, %reason, "ignored");
                    }
                    self.wait(stopping.as_mut()).await
                }
                Action::End(outcome) => break outcome,
            };
        };
        self.ended(outcome)
    }

    /// Sends what is due, as far as the socket has room.
    fn send(&mut self) -> Result<(), PortClosed> {
        while self.outbox.waits() || self.outbox.fill(&mut self.transfer) {
            match self.outbox.send(&self.socket) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(PortClosed),
                // A full queue or a missing route loses this as the network would: the timer sees to it.
                Err(error) => debug!(client = %self.client, %error, "sending"),
            }
        }
        Ok(())
    }

    /// Waits until something happens.
    async fn wait(&mut self, stopping: Pin<&mut WaitForCancellationFuture<'_>>) -> Action {
        // The time of the next timeout moves on with each window. One early ring costs less than that many settings.
        let due = self.transfer.poll_timeout().into();
        if due < self.alarm.deadline() || self.alarm.is_elapsed() {
            self.alarm.as_mut().reset(due);
        }
        let action = tokio::select! {
            biased;
            () = stopping => self.stop(),
            received = self.socket.recv(&mut self.datagram) => match received {
                Ok(length) => self.hear(length),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => self.transfer.handle_unreachable(),
                Err(error) => {
                    debug!(client = %self.client, %error, "receiving");
                    return Action::Send;
                }
            },
            request = self.requests.recv() => match request {
                Some(request) => self.take(request),
                // The listener has let go of this transfer.
                None => self.transfer.give_way(),
            },
            () = &mut self.alarm => self.transfer.handle_timeout(now()),
            _ = self.socket.writable(), if self.outbox.waits() => return Action::Send,
        };
        if action == Action::Send {
            self.outbox.clear();
        }
        action
    }

    /// Takes a datagram of this length. Where transfers share the listening port, it may be a request.
    fn hear(&mut self, length: usize) -> Action {
        let datagram = &self.datagram[..length];
        match admit(datagram) {
            Admission::Read(request) => self.take(request),
            Admission::Refuse(_) | Admission::Ignore(_) => {
                let action = self.transfer.handle(datagram, now());
                self.answered.store(self.transfer.is_confirmed(), Ordering::Relaxed);
                action
            }
        }
    }

    fn take(&mut self, request: ReadRequest) -> Action {
        let action = self.transfer.handle_request(&request, now());
        if matches!(action, Action::End(_)) {
            self.next = Some(request);
        }
        action
    }

    /// Ends the transfer and tells the client, so that it need not find out by waiting.
    fn stop(&mut self) -> Action {
        let mut packet = Vec::new();
        Packet::Error { code: ErrorCode::NOT_DEFINED, message: b"the server is stopping" }.write(&mut packet);
        if let Err(error) = self.socket.try_send(&packet) {
            debug!(client = %self.client, %error, "sending");
        }
        self.transfer.stop()
    }

    fn ended(mut self, outcome: Outcome) -> Ended {
        // From here on the listener finds the channel closed and starts the next transfer by itself.
        self.requests.close();
        let next = self.next.take().or_else(|| self.requests.try_recv().ok()).or_else(|| self.left_behind());
        let progress = self.transfer.progress(now());
        Ended { client: self.client, file: self.transfer.request().name.clone(), outcome, progress, next }
    }

    /// A request that came in here behind what ended the transfer, as firmware's read comes behind its probe for the size.
    fn left_behind(&mut self) -> Option<ReadRequest> {
        while let Ok(length) = self.socket.try_recv(&mut self.datagram) {
            if let Admission::Read(request) = admit(&self.datagram[..length]) {
                return Some(request);
            }
        }
        None
    }
}

/// Nobody listens on the client's port.
struct PortClosed;

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// One octet more than a request may have (RFC 2347): longer than an acknowledgement, and than any error message.
const DATAGRAM_MAX: usize = 513;
