//! The DHCP service: the socket and the lease journal around the decisions of `pxe_proto::dhcp`.
//!
//! One task owns the engine. It takes all datagrams that are there, decides about each ([`desk`]), sends what promises
//! nothing, writes all leases with one wait for the disk, and only then sends what promises an address ([`link`]).
//!
//! Deliberately not here: who gets which address, and what a reply says.

mod desk;
mod link;
mod socket;

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use lab_model::{Inventory, MacAddr};
use pxe_proto::dhcp::{Engine, LeaseRecord, LeaseState};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use self::desk::{Batch, Desk};
pub(crate) use self::link::Link;
pub(crate) use self::socket::DhcpSocket;
use crate::journal::Journal;
use crate::leases::Leases;

/// Which machine has which address: by this other services know a client.
pub(crate) type Clients = BTreeMap<Ipv4Addr, MacAddr>;

/// The service, ready to run.
pub(crate) struct Server {
    desk: Desk,
    leases: Leases,
    link: Link,
    journal: Journal,
    clients: watch::Sender<Clients>,
}

/// Longer than what any Ethernet frame carries.
const DATAGRAM: usize = 2048;
/// How long the service rests after the kernel refused to receive, so that it cannot spin.
const REST: Duration = Duration::from_millis(100);

impl Server {
    /// The service; `engine` has its leases back already.
    pub(crate) fn new(
        engine: Engine,
        leases: Leases,
        link: Link,
        inventory: watch::Receiver<Arc<Inventory>>,
        journal: Journal,
    ) -> Self {
        let mut clients = Clients::new();
        engine.leases().for_each(|lease| note(lease, &mut clients));
        Self { desk: Desk::new(engine, inventory), leases, link, journal, clients: watch::Sender::new(clients) }
    }

    /// Who has which address, now and later.
    pub(crate) fn clients(&self) -> watch::Receiver<Clients> {
        self.clients.subscribe()
    }

    /// Answers until the token is cancelled; then every lease is on disk.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let Self { mut desk, mut leases, link, journal, clients } = self;
        let mut buffer = [0; DATAGRAM];
        loop {
            let received = tokio::select! {
                () = shutdown.cancelled() => break,
                received = link.socket.receive(&mut buffer) => received,
            };
            let (length, sender) = match received {
                Ok(received) => received,
                Err(error) => {
                    warn!(%error, "receiving DHCP requests");
                    sleep(REST).await;
                    continue;
                }
            };
            desk.catch_up();
            let mut batch = Batch::default();
            desk.decide(&buffer[..length], sender, &mut batch);
            while batch.has_room()
                && let Ok((length, sender)) = link.socket.try_receive(&mut buffer)
            {
                desk.decide(&buffer[..length], sender, &mut batch);
            }

            for reply in &batch.replies {
                link.send(reply).await;
            }
            let mut written = Ok(());
            if !batch.leases.is_empty() {
                let wanted = batch.leases.clone();
                let all = leases.is_crowded().then(|| desk.leases());
                (leases, written) = match tokio::task::spawn_blocking(move || write(leases, &wanted, all)).await {
                    Ok(written) => written,
                    // Nothing in there can panic; without a journal nothing may be promised.
                    Err(error) => return error!(%error, "writing leases ended"),
                };
            }
            match written {
                Ok(()) => {
                    clients.send_modify(|clients| batch.leases.iter().for_each(|lease| note(lease, clients)));
                    // First told, then sent: what the machine does next comes after it in the journal too.
                    for (mac, what) in batch.events {
                        journal.record(mac, what);
                    }
                    for reply in &batch.promises {
                        link.send(reply).await;
                    }
                }
                // The client asks again, and its lease is written again.
                Err(error) => error!(%error, leases = batch.leases.len(), "leases cannot be written: not confirmed"),
            }
        }
        desk.say_what_was_ignored();
        let synced = tokio::task::spawn_blocking(move || leases.sync()).await;
        if let Ok(Err(error)) = synced {
            error!(%error, "the last leases may not be on disk");
        }
    }
}

fn note(lease: &LeaseRecord, clients: &mut Clients) {
    match lease.state {
        LeaseState::Bound => clients.insert(lease.address, lease.mac),
        LeaseState::Offered | LeaseState::Released | LeaseState::Declined => clients.remove(&lease.address),
    };
}

/// Writes leases, and where the journal is crowded, a new one with `all` that count.
fn write(mut leases: Leases, wanted: &[LeaseRecord], all: Option<Vec<LeaseRecord>>) -> (Leases, io::Result<()>) {
    let written = leases.append(wanted);
    if let (Ok(()), Some(all)) = (&written, all)
        && let Err(error) = leases.rewrite(&all)
    {
        warn!(%error, "the lease journal cannot be made shorter");
    }
    (leases, written)
}
