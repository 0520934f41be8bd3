//! The DHCPv6 service: the socket and the lease journal around the decisions of `pxe_proto::dhcp6`.
//!
//! One task owns the engine. It takes one datagram after the other; what promises an address is sent once the lease is on disk.
//! Meanwhile the next datagrams are decided about, whose leases share the next wait for the disk ([`Promises`]).
//!
//! Deliberately not here: who gets which address, and what a reply says.

mod clients;
mod socket;

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::{Duration, SystemTime};

pub(crate) use pxe_proto::dhcp6::Engine;
use pxe_proto::dhcp6::{Action, Ignored, Reply, ReplyKind, Request};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

pub(crate) use self::clients::{Clients6, Leased};
pub(crate) use self::socket::Dhcp6Socket;
use crate::dhcp::Sources;
use crate::firmwares::Firmwares;
use crate::journal::Journal;
use crate::leases::{Keeper, Promises};
use crate::pulse::Pulse;

/// The service, ready to run.
pub(crate) struct Server {
    engine: Engine,
    waiting: Promises<Ipv6Addr, Promise>,
    socket: Dhcp6Socket,
    sources: Sources,
    firmwares: Firmwares,
    /// How machines know this server (RFC 8415 §11).
    duid: Vec<u8>,
    journal: Journal,
    clients: watch::Sender<Leased>,
    ignored: BTreeMap<&'static str, u64>,
    /// When something that only the lab's owner can change was last said aloud.
    said: Option<Instant>,
}

/// What is sent once its lease is on disk.
#[derive(Debug)]
struct Promise {
    reply: Box<Reply>,
    destination: SocketAddrV6,
    is_relayed: bool,
}

/// Longer than what a client or a relay sends: what is cut off is found malformed.
const DATAGRAM: usize = 4097;

/// How long the service rests after the kernel refused to receive, so that it cannot spin.
const REST: Duration = Duration::from_millis(100);

/// What only the lab's owner can change is said once in this time, however often it happens.
const REMINDER: Duration = Duration::from_secs(30);

impl Server {
    /// The service; `engine` has its leases back already.
    pub(crate) fn new(
        mut engine: Engine,
        leases: Keeper<Ipv6Addr>,
        socket: Dhcp6Socket,
        sources: Sources,
        duid: Vec<u8>,
        journal: Journal,
    ) -> Self {
        let mut clients = Leased::default();
        engine.leases().for_each(|lease| clients.note(lease));
        engine.set_profiles(sources.profiles.borrow().clone());
        let clients = watch::Sender::new(clients);
        let waiting = Promises::new(leases);
        let firmwares = Firmwares::new(sources.plans.clone(), journal.clone());
        Self {
            engine,
            waiting,
            socket,
            sources,
            firmwares,
            duid,
            journal,
            clients,
            ignored: BTreeMap::new(),
            said: None,
        }
    }

    /// Who has which address, now and later.
    pub(crate) fn clients(&self) -> watch::Receiver<Leased> {
        self.clients.subscribe()
    }

    /// Answers until the token is cancelled; then every lease is on disk.
    pub(crate) async fn run(mut self, mut pulse: Pulse, shutdown: CancellationToken) {
        let mut buffer = [0; DATAGRAM];
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = pulse.answer() => {}
                written = self.waiting.written() => {
                    self.write();
                    match written {
                        Ok(kept) => {
                            self.clients.send_modify(|clients| kept.leases.iter().for_each(|lease| clients.note(lease)));
                            kept.promises.into_iter().for_each(|promise| self.send(promise));
                        }
                        // The client asks again, and its lease is written again.
                        Err((leases, error)) => error!(%error, leases, "IPv6 leases cannot be written: not confirmed"),
                    }
                }
                received = self.socket.receive(&mut buffer), if self.waiting.have_room() => match received {
                    Ok((length, sender)) => self.answer(&buffer[..length], sender),
                    Err(error) => {
                        warn!(%error, "receiving DHCPv6 requests");
                        sleep(REST).await;
                    }
                },
            }
        }
        for (reason, times) in &self.ignored {
            info!(reason, times, "ignored by DHCPv6");
        }
        self.waiting.close().await;
    }

    fn answer(&mut self, datagram: &[u8], sender: SocketAddrV6) {
        self.catch_up();
        let mut request = match Request::parse(datagram, *sender.ip()) {
            Ok(request) => request,
            Err(reason) => return self.ignore(&reason, sender),
        };
        if request.firmware().boots_from_the_network() {
            request.treat(self.firmwares.treatment(request.mac()));
        }
        let mut reply = match self.engine.handle(&request, SystemTime::now()) {
            Action::Reply(reply) => reply,
            Action::Ignore(reason) => return self.ignore(&reason, sender),
        };
        self.log(&request, &reply);
        let lease = reply.commit.take();
        let promise = Promise { reply, destination: sender, is_relayed: request.is_relayed() };
        match lease {
            Some(lease) => {
                self.waiting.add(lease, promise);
                self.write();
            }
            None => self.send(promise),
        }
    }

    fn write(&mut self) {
        let Self { engine, waiting, .. } = self;
        waiting.write(|| engine.leases().cloned().collect());
    }

    /// Records and sends. First recorded: what a machine does next comes after it in the journal too.
    fn send(&self, Promise { reply, destination, is_relayed }: Promise) {
        let Reply { mac, message, event, .. } = *reply;
        if let Some((mac, what)) = event {
            self.journal.record(mac, what);
        }
        if let Err(error) = self.socket.send(&message, destination, is_relayed) {
            warn!(%mac, %destination, %error, "a DHCPv6 reply cannot be sent");
        }
    }

    /// Takes up the newest inventory, profiles and configuration.
    fn catch_up(&mut self) {
        let Self { engine, sources: Sources { inventory, profiles, plans }, duid, .. } = self;
        if inventory.has_changed().unwrap_or(false) {
            engine.set_inventory(inventory.borrow_and_update().clone());
        }
        if profiles.has_changed().unwrap_or(false) {
            engine.set_profiles(profiles.borrow_and_update().clone());
        }
        if plans.has_changed().unwrap_or(false)
            && let Some(config) = plans.borrow_and_update().dhcp6(duid)
        {
            engine.set_config(config);
        }
    }

    fn ignore(&mut self, reason: &Ignored, sender: SocketAddrV6) {
        let times = self.ignored.entry(reason.kind()).or_default();
        *times += 1;
        let now = Instant::now();
        if reason.needs_attention() && self.said.is_none_or(|said| now - said >= REMINDER) {
            self.said = Some(now);
            warn!(%reason, %sender, times, "no answer by DHCPv6");
        } else {
            debug!(%reason, %sender, times, "ignored by DHCPv6");
        }
    }

    fn log(&self, request: &Request, reply: &Reply) {
        let Reply { mac, firmware, address, .. } = reply;
        let machine = self.sources.inventory.borrow().by_mac(*mac).map(|machine| machine.name.to_string());
        let stage = match reply.kind {
            ReplyKind::Advertise => "advertise",
            ReplyKind::Reply => "reply",
        };
        let address = address.map(|address| address.to_string());
        info!(machine, %mac, address, ?firmware, stage, to = ?request.kind(), "DHCPv6");
    }
}
