//! What machines without an address talk to: DHCP, names and TFTP; and their way out.

use std::net::IpAddr;

use pxe_proto::dhcp::Engine;
use tokio::sync::watch;

use super::Start;
use super::ipv6::Served6;
use crate::dhcp::{self, Clients, Rivals};
use crate::dhcp6::Leased;
use crate::first_file::FirstFile;
use crate::interface::{Interface, Netlink};
use crate::leases::{Keeper, Leases};
use crate::plan::{Family, Plan};
use crate::sockets::Lan;
use crate::{dns, nat, tftp};

/// What is served on the lab's interface, as HTTP answers with it; nothing where only HTTP is served.
#[derive(Default)]
pub(super) struct Served {
    /// The interface.
    pub(super) interface: Option<Interface>,
    /// Who has which address.
    pub(super) clients: Option<watch::Receiver<Clients>>,
    /// How the DNS is, where there is one.
    pub(super) names: Option<watch::Receiver<dns::Status>>,
    /// The other DHCP servers that were seen, where there is to be none.
    pub(super) rivals: Option<Rivals>,
    /// The same for IPv6, where the lab has it.
    pub(super) ipv6: Option<Served6>,
}

impl Start<'_> {
    /// Starts what is bound to the lab's interface.
    ///
    /// # Errors
    /// The kernel refuses NAT, or leases cannot be read.
    pub(super) fn ipv4(&mut self, lan: Lan) -> anyhow::Result<Served> {
        let Lan { link, prober, tftp, dns, interface, netlink, ipv6 } = lan;
        self.nat(interface.clone(), netlink)?;
        let Plan { config, lab, .. } = self.plan;
        let rivals = config.dhcp.authoritative.then(|| Rivals::new(lab.server.address()));
        let clients = self.dhcp((link, prober), rivals.as_ref(), &interface)?;
        self.tftp(tftp, clients.clone());
        let watched = interface.clone();
        self.tasks.spawn("interface", |pulse, shutdown| {
            pulse.around(async move { shutdown.run_until_cancelled(watched.gone()).await.unwrap_or_default() })
        });
        let ipv6 = ipv6.zip(self.plan.ipv6.as_ref()).map(|(lan, lab)| self.ipv6(lan, lab)).transpose()?;
        let leased6 = ipv6.as_ref().and_then(|served| served.clients.leased.clone());
        let names = dns.zip(self.plan.dns.as_ref());
        let names = names.map(|(sockets, plan)| self.dns(plan, sockets, clients.clone(), leased6));
        Ok(Served { interface: Some(interface), clients: Some(clients), names, rivals, ipv6 })
    }

    fn nat(&mut self, interface: Interface, netlink: Netlink) -> anyhow::Result<()> {
        let (nat, orders) = nat::Service::start(self.plan.nat.clone(), self.state.nat())?;
        self.reload.serve_on(interface, orders);
        self.tasks.spawn("nat", |pulse, shutdown| nat.run(netlink, pulse, shutdown));
        Ok(())
    }

    fn dhcp(
        &mut self,
        (link, prober): (dhcp::Link, Option<dhcp::Prober>),
        rivals: Option<&Rivals>,
        interface: &Interface,
    ) -> anyhow::Result<watch::Receiver<Clients>> {
        let Self { plan, state, known, tasks, .. } = self;
        let (leases, kept) = Leases::open(&state.leases(), plan.config.dhcp.durability)?;
        let mut engine = Engine::new(plan.dhcp(prober.is_some()), known.inventory.borrow().clone());
        kept.into_iter().for_each(|lease| engine.restore(lease));
        let keeper = Keeper::start(leases)?;
        let sources = known.sources(self.reload.plans());
        let mut server = dhcp::Server::new(engine, keeper, (link, prober), sources, known.journal.clone());
        if let Some(rivals) = rivals {
            server.report_rivals(rivals.clone());
            if let Some(watch) = dhcp::Watch::bind(rivals, interface) {
                tasks.spawn("rivals", |pulse, shutdown| watch.run(pulse, shutdown));
            }
        }
        let clients = server.clients();
        tasks.spawn("dhcp", |pulse, shutdown| server.run(pulse, shutdown));
        Ok(clients)
    }

    fn dns(
        &mut self,
        plan: &dns::Plan,
        sockets: dns::Sockets,
        clients: watch::Receiver<Clients>,
        leased6: Option<watch::Receiver<Leased>>,
    ) -> watch::Receiver<dns::Status> {
        let (plans, inventory) = (self.reload.plans(), self.known.inventory.clone());
        let server = dns::Server::new(plan, plans, sockets, inventory, clients, leased6);
        let status = server.status();
        self.tasks.spawn("dns", |pulse, shutdown| server.run(pulse, shutdown));
        status
    }

    fn tftp(&mut self, server: tftp::Server, clients: watch::Receiver<Clients>) {
        let holder = move |address| match address {
            IpAddr::V4(address) => clients.borrow().holder(address),
            IpAddr::V6(_) => None,
        };
        let house = FirstFile::new(Family::Ipv4, self.reload.plans(), self.known.journal.clone(), holder);
        self.tasks.spawn("tftp", |pulse, shutdown| server.run(house, pulse, shutdown));
    }
}
