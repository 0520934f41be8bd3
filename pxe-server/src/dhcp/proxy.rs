//! The ProxyDHCP service: two sockets around the decisions of `pxe_proto::dhcp::Proxy`.
//!
//! There is nothing to remember: no address is given, so no lease is written.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use lab_model::{MacAddr, What};
use pxe_proto::dhcp::{Arrival, Heard, Proxy, ProxyAction, Reply, ReplyKind, Request};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::desk::Sources;
use super::link::address_of;
use super::rivals::Rivals;
use super::socket::DhcpSocket;
use super::tally::Tally;
use super::{DATAGRAM, REST};
use crate::firmwares::Firmwares;
use crate::interface::Interface;
use crate::journal::Journal;
use crate::pulse::Pulse;

/// The sockets of the service.
pub(crate) struct ProxySockets {
    /// What is broadcast to DHCP servers.
    broadcast: DhcpSocket,
    /// What is sent to the boot server.
    boot_server: DhcpSocket,
}

/// The service, ready to run.
pub(crate) struct ProxyServer {
    proxy: Proxy,
    sockets: ProxySockets,
    sources: Sources,
    journal: Journal,
    firmwares: Firmwares,
    others: Rivals,
    ignored: Tally,
}

impl ProxySockets {
    /// Binds them on the lab's interface; replies are sent from `source`.
    ///
    /// # Errors
    /// Somebody has a port and does not share it, or a capability is missing; the message says who or which.
    pub(crate) fn bind(interface: &Interface, source: Ipv4Addr) -> anyhow::Result<Self> {
        let broadcast = DhcpSocket::bind_broadcast(interface, source)?;
        let boot_server = DhcpSocket::bind_boot_server(interface, source)?;
        Ok(Self { broadcast, boot_server })
    }
}

impl ProxyServer {
    /// The service; whose addresses machines take is told to `others`.
    pub(crate) fn new(sockets: ProxySockets, sources: Sources, journal: Journal, others: Rivals) -> Self {
        let mut proxy = Proxy::new(sources.plans.borrow().proxy(), sources.inventory.borrow().clone());
        proxy.set_profiles(sources.profiles.borrow().clone());
        let firmwares = Firmwares::new(sources.plans.clone(), journal.clone());
        Self { proxy, sockets, sources, journal, firmwares, others, ignored: Tally::default() }
    }

    /// Answers until the token is cancelled.
    pub(crate) async fn run(mut self, mut pulse: Pulse, shutdown: CancellationToken) {
        let (mut broadcast, mut boot_server) = ([0; DATAGRAM], [0; DATAGRAM]);
        loop {
            let received = tokio::select! {
                () = shutdown.cancelled() => break,
                () = pulse.answer() => continue,
                received = self.sockets.broadcast.receive(&mut broadcast) => {
                    received.map(|(length, sender)| (&broadcast[..length], sender, Arrival::Broadcast))
                }
                received = self.sockets.boot_server.receive(&mut boot_server) => {
                    received.map(|(length, sender)| (&boot_server[..length], sender, Arrival::BootServer(sender)))
                }
            };
            match received {
                Ok((datagram, sender, arrival)) => self.answer(datagram, sender, arrival),
                Err(error) => {
                    warn!(%error, "receiving requests of network boot clients");
                    sleep(REST).await;
                }
            }
        }
        self.ignored.say();
    }

    fn answer(&mut self, datagram: &[u8], sender: SocketAddrV4, arrival: Arrival) {
        self.catch_up();
        let mut request = match Request::parse(datagram) {
            Ok(request) => request,
            Err(reason) => return self.ignored.count(&reason, sender),
        };
        let quirk = self.firmwares.treat(&mut request);
        match self.proxy.handle(&request, arrival) {
            ProxyAction::Ignore(reason) => return self.ignored.count(&reason, sender),
            ProxyAction::Heard(Heard { server, event }) => {
                server.into_iter().for_each(|server| self.others.note(server));
                if let Some((mac, what)) = event {
                    info!(machine = self.name(mac), %mac, ?server, ?what, "an address of another server's");
                    self.journal.record(mac, what);
                }
            }
            ProxyAction::Reply(reply) => {
                self.log(&reply);
                let url = reply.offers_url().then_some(What::Url);
                let Reply { kind, mac, message, destination, event, class, .. } = *reply;
                // First recorded: what a machine does next comes after it in the journal too.
                for what in event.map(|(_, what)| what).into_iter().chain(class).chain(url) {
                    self.journal.record(mac, what);
                }
                let sent = match address_of(destination) {
                    Some(to) if kind == ReplyKind::Offer => self.sockets.broadcast.send(&message, to),
                    Some(to) => self.sockets.boot_server.send(&message, to),
                    None => Err(io::ErrorKind::AddrNotAvailable.into()),
                };
                if let Err(error) = sent {
                    warn!(%mac, ?destination, %error, "an answer to a network boot client cannot be sent");
                }
            }
        }
        if let Some(quirk) = quirk {
            self.journal.record(request.mac(), quirk);
        }
    }

    /// Takes up the newest inventory, profiles and configuration.
    fn catch_up(&mut self) {
        let Self { proxy, sources: Sources { inventory, profiles, plans }, .. } = self;
        if inventory.has_changed().unwrap_or(false) {
            proxy.set_inventory(inventory.borrow_and_update().clone());
        }
        if profiles.has_changed().unwrap_or(false) {
            proxy.set_profiles(profiles.borrow_and_update().clone());
        }
        if plans.has_changed().unwrap_or(false) {
            proxy.set_config(plans.borrow_and_update().proxy());
        }
    }

    fn log(&self, reply: &Reply) {
        let stage = match reply.kind {
            ReplyKind::Offer => "proxy-offer",
            ReplyKind::Ack => "proxy-ack",
            ReplyKind::Nak => "nak",
        };
        let Reply { mac, firmware, destination, .. } = reply;
        info!(machine = self.name(*mac), %mac, ?firmware, stage, ?destination);
    }

    fn name(&self, mac: MacAddr) -> Option<String> {
        self.sources.inventory.borrow().by_mac(mac).map(|machine| machine.name.to_string())
    }
}
