//! The task that takes all requests and knows which transfers there are.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pxe_proto::tftp::{Admission, ReadRequest, Refusal, Transfer, admit};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::{self, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::carrier::{Carrier, Ended};
use super::outbox::Together;
use super::ports::Candidates;
use super::{Bounds, Config, House, Report, sockets};
use crate::pulse::Pulse;

/// The listening socket, and a line to each transfer.
pub(super) struct Listener<H> {
    config: Config,
    socket: UdpSocket,
    house: H,
    shutdown: CancellationToken,
    /// At most one transfer for each port of each client.
    lines: BTreeMap<SocketAddr, Line>,
    carriers: JoinSet<Ended>,
    /// How many transfers have begun.
    begun: u64,
    together: Together,
    candidates: Candidates,
}

/// Leads to the task that carries a client's transfer.
struct Line {
    task: task::Id,
    requests: mpsc::Sender<ReadRequest>,
    /// How many transfers began before.
    number: u64,
    /// Whether the client has ever answered.
    answered: Arc<AtomicBool>,
}

impl<H: House> Listener<H> {
    pub(super) fn new(config: Config, socket: UdpSocket, house: H, shutdown: CancellationToken) -> Self {
        let together = Together::probe(&socket);
        // A bound socket has an address; without one there would be nothing to listen on.
        let listening = socket.local_addr().map_or(config.address.port(), |address| address.port());
        let candidates = Candidates::new(config.ports.clone(), listening);
        Self {
            config,
            socket,
            house,
            shutdown,
            lines: BTreeMap::new(),
            carriers: JoinSet::new(),
            begun: 0,
            together,
            candidates,
        }
    }

    /// Takes requests until the shutdown, then waits for all transfers to end.
    pub(super) async fn run(mut self, mut pulse: Pulse) {
        let shutdown = self.shutdown.clone();
        let mut datagram = [0; DATAGRAM_MAX];
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = pulse.answer() => {}
                Some(joined) = self.carriers.join_next_with_id() => {
                    if let Some((request, client)) = self.ended(joined) {
                        self.read(request, client);
                    }
                }
                received = self.socket.recv_from(&mut datagram) => match received {
                    Ok((length, client)) => self.handle(&datagram[..length], client),
                    Err(error) => {
                        warn!(%error, "receiving TFTP requests");
                        tokio::time::sleep(AFTER_AN_ERROR).await;
                    }
                },
            }
        }
        while let Some(joined) = self.carriers.join_next_with_id().await {
            self.ended(joined);
        }
    }

    fn handle(&mut self, datagram: &[u8], client: SocketAddr) {
        match admit(datagram) {
            Admission::Read(request) => self.read(request, client),
            Admission::Refuse(refusal) => self.refuse(refusal, client),
            Admission::Ignore(reason) => debug!(%client, %reason, "ignored"),
        }
    }

    fn read(&mut self, mut request: ReadRequest, client: SocketAddr) {
        if let Some(line) = self.lines.get(&client) {
            match line.requests.try_send(request) {
                // When a request waits there already, this one is a copy of it or will be sent again.
                Ok(()) | Err(TrySendError::Full(_)) => return,
                // The transfer has just ended.
                Err(TrySendError::Closed(back)) => request = back,
            }
        }
        if let Err(refusal) = self.start(request, client) {
            self.refuse(refusal, client);
        }
    }

    fn start(&mut self, request: ReadRequest, client: SocketAddr) -> Result<(), Refusal> {
        if let Some(bounds) = self.house.other_bounds() {
            self.config.bounds = bounds;
        }
        let bounds = self.config.bounds;
        let Some(file) = self.house.file(&request.name, client.ip()) else {
            return Err(Refusal::NotFound(request.name));
        };
        self.make_room(client)?;
        let socket = self.connect(client).map_err(|error| {
            warn!(%client, %error, "cannot open a socket for a TFTP transfer");
            Refusal::NoResources
        })?;

        debug!(%client, file = request.name, bytes = file.len(), options = ?request.options, "transfer starts");
        let (requests, line) = mpsc::channel(1);
        let now = tokio::time::Instant::now().into_std();
        let mut limits = self.house.limits(client.ip(), bounds.limits);
        limits.block_size = sockets::longest_block(&socket, client).unwrap_or(u16::MAX).min(limits.block_size);
        let transfer = Transfer::start(request, file, limits, now);
        let answered = Arc::new(AtomicBool::new(false));
        let carrier = Carrier::new(client, socket, transfer, line, answered.clone(), self.together);
        let task = self.carriers.spawn(carrier.run(self.shutdown.clone())).id();
        self.lines.insert(client, Line { task, requests, number: self.begun, answered });
        self.begun += 1;
        Ok(())
    }

    /// Finds a place for a transfer to this client: where there is none, the oldest one gives way whose client has never
    /// answered. Requests in the names of others, or of nobody, cannot keep machines out in this way.
    fn make_room(&mut self, client: SocketAddr) -> Result<(), Refusal> {
        let Bounds { transfers, transfers_per_client, .. } = self.config.bounds;
        let bounds = [(Some(client.ip()), transfers_per_client, Refusal::ClientBusy), (None, transfers, Refusal::Busy)];
        for (of, most, refusal) in bounds {
            let is_one = |other: &SocketAddr| *other != client && of.is_none_or(|address| other.ip() == address);
            let others = || self.lines.iter().filter(|(other, _)| is_one(other));
            if others().count() < most {
                continue;
            }
            let silent = others().filter(|(_, line)| !line.answered.load(Ordering::Relaxed));
            let oldest = silent.min_by_key(|(_, line)| line.number).map(|(other, _)| *other);
            // Without its line, the task that carries it ends.
            self.lines.remove(&oldest.ok_or(refusal)?);
        }
        Ok(())
    }

    fn connect(&mut self, client: SocketAddr) -> io::Result<UdpSocket> {
        let mut taken = io::ErrorKind::AddrInUse.into();
        for port in self.candidates.next() {
            match sockets::connected(&self.config, port, client) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => taken = error,
                done => return done,
            }
        }
        Err(taken)
    }

    fn refuse(&mut self, refusal: Refusal, client: SocketAddr) {
        let mut packet = Vec::new();
        refusal.write(&mut packet);
        // When the socket has no room the answer is lost, as any datagram may be: the client asks again.
        if let Err(error) = self.socket.try_send_to(&packet, client) {
            debug!(%client, %error, "sending");
        }
        info!(%client, %refusal, "read refused");
        self.house.report(Report::Refused { client, refusal });
    }

    /// Settles what a transfer left behind, and returns the request that came in its place.
    fn ended(&mut self, joined: Result<(task::Id, Ended), JoinError>) -> Option<(ReadRequest, SocketAddr)> {
        let (id, ended) = match joined {
            Ok((id, ended)) => (id, Some(ended)),
            Err(error) => {
                error!(%error, "a TFTP transfer broke off");
                (error.id(), None)
            }
        };
        self.lines.retain(|_, line| line.task != id);
        let Ended { client, file, outcome, progress, next } = ended?;

        info!(
            %client, file, %outcome, bytes = progress.bytes, milliseconds = progress.duration.as_millis(),
            block_size = progress.block_size, window = progress.window, retransmitted = progress.retransmitted,
            "transfer ended"
        );
        self.house.report(Report::Ended { client, file, outcome, progress });
        next.map(|request| (request, client))
    }
}

/// One octet more than a request may have (RFC 2347), so that a longer one shows.
const DATAGRAM_MAX: usize = 513;

/// An error that stays, such as an interface that is down, must not become a busy loop.
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);
