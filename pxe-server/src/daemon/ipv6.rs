//! The same over IPv6, where the lab has it: router advertisements, DHCPv6 and TFTP.

use std::net::IpAddr;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{info, warn};

use super::Start;
use crate::dhcp6::{self, Clients6, Dhcp6Socket, Engine, Leased};
use crate::first_file::FirstFile;
use crate::lab6::Lab6;
use crate::leases::{Keeper, Leases};
use crate::plan::Family;
use crate::sockets::Lan6;
use crate::{duid, tftp};

/// What is served over IPv6, as HTTP answers with it.
pub(super) struct Served6 {
    /// Who has which address.
    pub(super) clients: Clients6,
    /// Where HTTP is to be served.
    pub(super) http: TcpListener,
    /// The same by TLS, if it is.
    pub(super) https: Option<TcpListener>,
}

impl Start<'_> {
    /// Starts what is bound to the lab's interface for IPv6.
    ///
    /// # Errors
    /// Leases, or the server's own identifier, cannot be read.
    pub(super) fn ipv6(&mut self, lan: Lan6, lab: &Lab6) -> anyhow::Result<Served6> {
        let Lan6 { radv, dhcp6, tftp, http, https } = lan;
        info!(server = %lab.server, url = %self.plan.url(Family::Ipv6), "IPv6");
        let identity = self.identity.as_ref().map(|watch| watch.borrow().identity.clone());
        if let Some(problem) = identity.and_then(|identity| identity.is_not_for(lab.server.address().into())) {
            warn!("{problem}");
        }
        if let Some(radv) = radv {
            let plans = self.reload.plans();
            self.tasks.spawn("radv", |pulse, shutdown| radv.run(plans, pulse, shutdown));
        }
        let mut clients = Clients6::new(lab.server);
        clients.leased = dhcp6.map(|socket| self.dhcp6(lab, socket)).transpose()?;
        self.tftp6(tftp, clients.clone());
        Ok(Served6 { clients, http, https })
    }

    fn dhcp6(&mut self, lab: &Lab6, socket: Dhcp6Socket) -> anyhow::Result<watch::Receiver<Leased>> {
        let Self { plan, reload, state, known, .. } = self;
        let (leases, kept) = Leases::open(&state.leases6(), plan.config.dhcp.durability)?;
        let duid = duid::read_or_make(&state.duid())?;
        let told = lab.engine(&plan.config, duid.clone(), plan.url(Family::Ipv6));
        let mut engine = Engine::new(told, known.inventory.borrow().clone());
        kept.into_iter().for_each(|lease| engine.restore(lease));
        let (keeper, sources) = (Keeper::start(leases)?, known.sources(reload.plans()));
        let server = dhcp6::Server::new(engine, keeper, socket, sources, duid, known.journal.clone());
        let clients = server.clients();
        self.tasks.spawn("dhcp6", |pulse, shutdown| server.run(pulse, shutdown));
        Ok(clients)
    }

    fn tftp6(&mut self, server: tftp::Server, clients: Clients6) {
        let holder = move |address| match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => clients.holder(address),
        };
        let (plans, identity) = (self.reload.plans(), self.identity.clone());
        let house = FirstFile::new(Family::Ipv6, plans, identity, self.known.journal.clone(), holder);
        self.tasks.spawn("tftp6", |pulse, shutdown| server.run(house, pulse, shutdown));
    }
}
