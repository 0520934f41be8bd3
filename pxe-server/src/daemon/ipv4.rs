//! What machines without an address talk to: DHCP, names and TFTP; and their way out.

use std::net::IpAddr;

use pxe_proto::dhcp::Engine;
use tokio::sync::watch;

use super::Start;
use super::ipv6::Served6;
use crate::dhcp::{self, Clients, Doubts, Holders, ProxyServer, ProxySockets, Rivals, Standing};
use crate::dhcp6::Leased;
use crate::first_file::FirstFile;
use crate::interface::{Interface, Netlink};
use crate::leases::{Keeper, Leases};
use crate::neighbours::Neighbours;
use crate::plan::{Family, Plan};
use crate::sockets::{Dhcp, Lan};
use crate::{dns, nat, tftp};

/// What is served on the lab's interface, as HTTP answers with it; nothing where only HTTP is served.
#[derive(Default)]
pub(super) struct Served {
    /// The interface.
    pub(super) interface: Option<Interface>,
    /// Who has which address.
    pub(super) holders: Option<Holders>,
    /// Our leases, where we give addresses.
    pub(super) leases: Option<watch::Receiver<Clients>>,
    /// How the DNS is, where there is one.
    pub(super) names: Option<watch::Receiver<dns::Status>>,
    /// The other DHCP servers that were seen, where anybody looks for them.
    pub(super) rivals: Option<Rivals>,
    /// The hosts that are not believed about addresses.
    pub(super) doubts: Doubts,
    /// What is served by IPv6, where the lab has it.
    pub(super) ipv6: Option<Served6>,
}

impl Start<'_> {
    /// Starts what is bound to the lab's interface.
    ///
    /// # Errors
    /// The kernel refuses NAT, or leases cannot be read.
    pub(super) fn ipv4(&mut self, lan: Lan) -> anyhow::Result<Served> {
        let Lan { dhcp, tftp, dns, interface, netlink, ipv6 } = lan;
        self.nat(interface.clone(), netlink)?;
        let Plan { config, lab, .. } = self.plan;
        let mut doubts = Doubts::default();
        let (holders, leases, rivals) = match dhcp {
            Dhcp::Server(link, prober) => {
                let seen = || Rivals::new(lab.server.address(), Standing::Unwanted);
                let rivals = config.dhcp.authoritative.then(seen);
                let leases;
                (leases, doubts) = self.dhcp((link, prober), rivals.as_ref(), &interface)?;
                (Holders::Leases(leases.clone()), Some(leases), rivals)
            }
            Dhcp::Proxy(sockets) => {
                let others = Rivals::new(lab.server.address(), Standing::Expected);
                self.proxy(sockets, others.clone());
                (Holders::Neighbours(Neighbours::on(&interface)), None, Some(others))
            }
        };
        self.tftp(tftp, holders.clone());
        let watched = interface.clone();
        self.tasks.spawn("interface", |pulse, shutdown| {
            pulse.around(async move { shutdown.run_until_cancelled(watched.gone()).await.unwrap_or_default() })
        });
        let ipv6 = ipv6.zip(self.plan.ipv6.as_ref()).map(|(lan, lab)| self.ipv6(lan, lab)).transpose()?;
        let leased6 = ipv6.as_ref().and_then(|served| served.clients.leased.clone());
        // Without leases of ours, only definitions have names.
        let named = leases.clone().unwrap_or_else(|| watch::channel(Clients::default()).1);
        let names = dns.zip(self.plan.dns.as_ref());
        let names = names.map(|(sockets, plan)| self.dns(plan, sockets, named, leased6));
        Ok(Served { interface: Some(interface), holders: Some(holders), leases, names, rivals, doubts, ipv6 })
    }

    fn nat(&mut self, interface: Interface, netlink: Netlink) -> anyhow::Result<()> {
        let (nat, orders) = nat::Service::start(self.plan.nat.clone(), self.state.nat())?;
        self.reload.serve_on(interface, orders);
        self.tasks.spawn("nat", |pulse, shutdown| nat.run(netlink, pulse, shutdown));
        Ok(())
    }

    fn proxy(&mut self, sockets: ProxySockets, others: Rivals) {
        let Self { reload, known, tasks, .. } = self;
        let sources = known.sources(reload.plans());
        let server = ProxyServer::new(sockets, sources, known.journal.clone(), others);
        tasks.spawn("proxy-dhcp", |pulse, shutdown| server.run(pulse, shutdown));
    }

    fn dhcp(
        &mut self,
        (link, prober): (dhcp::Link, Option<dhcp::Prober>),
        rivals: Option<&Rivals>,
        interface: &Interface,
    ) -> anyhow::Result<(watch::Receiver<Clients>, Doubts)> {
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
        let told = (server.clients(), server.doubts());
        tasks.spawn("dhcp", |pulse, shutdown| server.run(pulse, shutdown));
        Ok(told)
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

    fn tftp(&mut self, server: tftp::Server, holders: Holders) {
        let holder = move |address| match address {
            IpAddr::V4(address) => holders.holder(address),
            IpAddr::V6(_) => None,
        };
        let (plans, identity) = (self.reload.plans(), self.identity.clone());
        let house = FirstFile::new(Family::Ipv4, plans, identity, self.known.journal.clone(), holder);
        self.tasks.spawn("tftp", |pulse, shutdown| server.run(house, pulse, shutdown));
    }
}
