//! The same over IPv6, where the lab has it: router advertisements, DHCPv6 and TFTP.

use std::net::IpAddr;

use pxe_proto::boot::BaseUrl;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::info;

use super::Start;
use crate::dhcp6::{self, Clients6, Dhcp6Socket, Engine, Leased};
use crate::lab6::Lab6;
use crate::leases::{Keeper, Leases};
use crate::sockets::Lan6;
use crate::{duid, first_file, tftp};

/// What is served over IPv6, as HTTP answers with it.
pub(super) struct Served6 {
    /// Who has which address.
    pub(super) clients: Clients6,
    /// Where HTTP is to be served.
    pub(super) http: TcpListener,
    /// How machines reach that.
    pub(super) url: BaseUrl,
}

impl Start<'_> {
    /// Starts what is bound to the lab's interface for IPv6.
    ///
    /// # Errors
    /// Leases, or the server's own identifier, cannot be read.
    pub(super) fn ipv6(&mut self, lan: Lan6) -> anyhow::Result<Served6> {
        let Lan6 { lab, radv, dhcp6, tftp, http } = lan;
        let url = BaseUrl::new(lab.server.address().into(), http.local_addr()?.port());
        info!(server = %lab.server, %url, "IPv6");
        if let Some(radv) = radv {
            self.tasks.spawn("radv", |pulse, shutdown| radv.run(pulse, shutdown));
        }
        let mut clients = Clients6::new(lab.server);
        clients.leased = dhcp6.map(|socket| self.dhcp6(&lab, socket, url)).transpose()?;
        self.tftp6(tftp, clients.clone(), url);
        Ok(Served6 { clients, http, url })
    }

    fn dhcp6(&mut self, lab: &Lab6, socket: Dhcp6Socket, url: BaseUrl) -> anyhow::Result<watch::Receiver<Leased>> {
        let Self { config, state, known, .. } = self;
        let (leases, kept) = Leases::open(&state.leases6(), config.dhcp.durability)?;
        let told = lab.engine(config, duid::read_or_make(&state.duid())?, url);
        let mut engine = Engine::new(told, known.inventory.borrow().clone());
        kept.into_iter().for_each(|lease| engine.restore(lease));
        let from = (known.inventory.clone(), known.profiles.clone());
        let server = dhcp6::Server::new(engine, Keeper::start(leases)?, socket, from, known.journal.clone());
        let clients = server.clients();
        self.tasks.spawn("dhcp6", |pulse, shutdown| server.run(pulse, shutdown));
        Ok(clients)
    }

    fn tftp6(&mut self, server: tftp::Server, clients: Clients6, url: BaseUrl) {
        let record = first_file::record(self.known.journal.clone(), move |address| match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => clients.holder(address),
        });
        self.tasks.spawn("tftp6", |pulse, shutdown| server.run(first_file::lookup(url), record, pulse, shutdown));
    }
}
