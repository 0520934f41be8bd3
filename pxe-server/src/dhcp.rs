//! The DHCP service: the socket and the lease journal around the decisions of `pxe_proto::dhcp`.
//!
//! One task owns the engine. It takes all datagrams that are there, decides about each ([`desk`]), sends what promises
//! nothing, asks the link about addresses that are new to a client ([`prober`]), and has the leases of what promises an address
//! written; that is sent once they are on disk ([`link`]). Meanwhile the next datagrams are decided about, whose leases share the
//! next wait for the disk ([`Promises`]).
//!
//! Where another server gives the addresses, [`ProxyServer`] is in its place.
//!
//! Deliberately not here: who gets which address, and what a reply says.

mod arp;
mod clients;
mod desk;
mod doubts;
mod ethernet;
mod holders;
mod link;
mod prober;
mod proxy;
mod rivals;
mod socket;
mod tally;

use std::future::pending;
use std::net::Ipv4Addr;
use std::time::Duration;

use lab_model::What;
use pxe_proto::dhcp::{Engine, Verdict};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

pub(crate) use self::clients::Clients;
pub(crate) use self::desk::Sources;
use self::desk::{Batch, Caught, Decision, Desk};
pub(crate) use self::doubts::Doubts;
pub(crate) use self::holders::Holders;
pub(crate) use self::link::{Frames, Link};
pub(crate) use self::prober::Prober;
pub(crate) use self::proxy::{ProxyServer, ProxySockets};
pub(crate) use self::rivals::{Rivals, Standing, Watch};
pub(crate) use self::socket::DhcpSocket;
use crate::firmwares::Firmwares;
use crate::journal::Journal;
use crate::leases::{Keeper, Promises};
use crate::pulse::Pulse;

/// The service, ready to run.
pub(crate) struct Server {
    desk: Desk,
    waiting: Promises<Ipv4Addr, Decision>,
    link: Link,
    prober: Option<Prober>,
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
        leases: Keeper,
        (link, prober): (Link, Option<Prober>),
        sources: Sources,
        journal: Journal,
    ) -> Self {
        let clients = watch::Sender::new(Clients::of(&engine));
        let firmwares = Firmwares::new(sources.plans.clone(), journal.clone());
        let desk = Desk::new(engine, sources, firmwares, prober.is_some());
        Self { desk, waiting: Promises::new(leases), link, prober, journal, clients }
    }

    /// Has the owner told of other servers that machines choose.
    pub(crate) fn report_rivals(&mut self, rivals: Rivals) {
        self.desk.report_rivals(rivals);
    }

    /// The hosts that are not believed about addresses.
    pub(crate) fn doubts(&self) -> Doubts {
        self.desk.doubts()
    }

    /// Who has which address, now and later.
    pub(crate) fn clients(&self) -> watch::Receiver<Clients> {
        self.clients.subscribe()
    }

    /// Answers until the token is cancelled; then every lease is on disk.
    pub(crate) async fn run(self, mut pulse: Pulse, shutdown: CancellationToken) {
        let Self { mut desk, mut waiting, link, mut prober, journal, clients } = self;
        let mut buffer = [0; DATAGRAM];
        loop {
            let mut batch = Batch::default();
            tokio::select! {
                // What somebody has said of an address counts before what a client makes of the offer.
                biased;
                () = shutdown.cancelled() => break,
                () = pulse.answer() => continue,
                (address, verdict) = next_verdict(&mut prober) => {
                    catch_up(&mut desk, &clients);
                    desk.conclude(address, verdict, &mut batch);
                }
                written = waiting.written() => {
                    // First, so that the disk does not wait while these are sent.
                    waiting.write(|| desk.leases());
                    match written {
                        Ok(kept) => {
                            clients.send_modify(|clients| kept.leases.iter().for_each(|lease| clients.note(lease)));
                            deliver(kept.promises, &link, &journal);
                        }
                        // The client asks again, and its lease is written again.
                        Err((leases, error)) => error!(%error, leases, "leases cannot be written: not confirmed"),
                    }
                    continue;
                }
                received = link.socket.receive(&mut buffer), if waiting.have_room() => match received {
                    Ok((length, sender)) => {
                        catch_up(&mut desk, &clients);
                        desk.decide(&buffer[..length], sender, &mut batch);
                    }
                    Err(error) => {
                        warn!(%error, "receiving DHCP requests");
                        sleep(REST).await;
                        continue;
                    }
                },
            }
            while batch.has_room()
                && waiting.have_room()
                && let Ok((length, sender)) = link.socket.try_receive(&mut buffer)
            {
                desk.decide(&buffer[..length], sender, &mut batch);
            }

            let Batch { replies, probes, promises, .. } = batch;
            promises.into_iter().for_each(|(lease, promise)| waiting.add(lease, promise));
            waiting.write(|| desk.leases());
            if let Some(prober) = &mut prober {
                probes.into_iter().for_each(|address| prober.ask(address));
            }
            deliver(replies, &link, &journal);
        }
        desk.say_what_was_ignored();
        waiting.close().await;
    }
}

/// The next verdict of the prober; none ever where there is no prober.
async fn next_verdict(prober: &mut Option<Prober>) -> (Ipv4Addr, Verdict) {
    match prober {
        Some(prober) => prober.verdict().await,
        None => pending().await,
    }
}

/// Takes up what is new, and lets others see who has which address by it.
fn catch_up(desk: &mut Desk, clients: &watch::Sender<Clients>) {
    if desk.catch_up() == Caught::Configuration {
        clients.send_replace(desk.clients());
    }
}

/// Records and sends. First recorded: what a machine does next comes after it in the journal too.
fn deliver(decisions: Vec<Decision>, link: &Link, journal: &Journal) {
    for Decision { event, reply } in decisions {
        if let Some((mac, what)) = event {
            journal.record(mac, what);
        }
        if let Some(mut reply) = reply {
            if let Some(class) = reply.class.take() {
                journal.record(reply.mac, class);
            }
            if reply.offers_url() {
                journal.record(reply.mac, What::Url);
            }
            link.send(&reply);
        }
    }
}
