//! The way out for the lab's machines: masquerade from the lab's interface to the uplink, for IPv4 and IPv6.
//!
//! | file | what it is |
//! | --- | --- |
//! | `ruleset` | the one nft table, as a pure function of the [`Plan`] |
//! | `nft` | the program that the kernel is told by |
//! | `kernel` | the kernel's switches: forwarding, and whether the uplink still hears router advertisements |
//! | `record` | what must be undone, on disk before it is done: a crash leaves nothing behind for good |
//!
//! Rules go by interface names, so an uplink that comes later, is replaced or changes its address needs nothing done to them. Those for
//! the server's own addresses follow these: an interface has its IPv6 addresses after its IPv4 one.
//! They are there before forwarding is, and go after it.
//!
//! Deliberately not here: what others forward. Their tables stay as they are, and ours drops only what concerns the lab.

mod kernel;
mod nft;
mod record;
mod ruleset;
mod service;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use anyhow::Context;
use nix::net::if_::if_nametoindex;
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use self::kernel::Setting;
use self::record::Record;
pub(crate) use self::service::{Orders, Service};
use crate::capability::{Capability, REMEDY};
use crate::config::{Config, InterfaceName, Invalid};
use crate::interface::{Interface, Netlink};

/// What a configuration wants, fitted to the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    lab: String,
    uplink: InterfaceName,
    /// The server's own addresses in the lab, link-local ones left out.
    addresses: Vec<IpAddr>,
}

/// NAT in force; dropping it undoes everything.
#[derive(Debug)]
pub(crate) struct Nat {
    plan: Plan,
    record: Record,
    /// The kernel's number for the uplink; a replaced one has another.
    uplink: Option<u32>,
}

impl Plan {
    /// What the configuration wants of the interface that machines boot on; `None` without `[nat]`.
    ///
    /// # Errors
    /// The uplink is the lab's own interface.
    pub(crate) fn new(config: &Config, lab: &Interface) -> Result<Option<Self>, Invalid> {
        let Some(section) = &config.nat else { return Ok(None) };
        if section.uplink.get_ref().as_str() == lab.name {
            let problem = format!(
                "`{}` is the lab's own interface: expected the one that leads to the Internet, or no [nat]",
                lab.name
            );
            return Err(config.invalid("nat.uplink", &section.uplink, problem));
        }
        let (uplink, addresses) = (section.uplink.get_ref().clone(), addresses(lab));
        Ok(Some(Self { lab: lab.name.clone(), uplink, addresses }))
    }

    /// What keeps it from being carried out, one sentence each; nothing is changed. Without privileges some of it cannot be
    /// seen.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.uplink_index().is_none() {
            problems.push(self.uplink_absent());
        }
        let privileged = Capability::NetAdmin.is_held();
        let tried = if privileged { nft::try_out(&ruleset::replace(self)) } else { nft::is_there() };
        problems.extend(tried.err().map(|error| format!("nat: {error:#}")));
        if privileged {
            let denied = self.settings().into_iter().filter_map(|setting| setting.denied());
            problems.extend(denied.map(|error| format!("nat: {error:#}")));
        }
        problems
    }

    /// The name of the nft table: one for each lab's interface, so that two servers on one machine do not share it.
    fn table(&self) -> String {
        format!("pvmlab-{}", self.lab)
    }

    fn uplink_index(&self) -> Option<u32> {
        if_nametoindex(self.uplink.as_str()).ok()
    }

    fn uplink_absent(&self) -> String {
        format!(
            "nat.uplink: this machine has no interface `{}` now: machines get out as soon as it is there; `ip link` shows \
             those that are",
            self.uplink
        )
    }

    /// The kernel's switches in the order in which they are set.
    fn settings(&self) -> Vec<Setting> {
        let mut settings = Vec::new();
        if self.addresses.iter().any(IpAddr::is_ipv6) {
            // A kernel that forwards ignores router advertisements, and forgets the routes it has by them, unless told 2.
            settings.push(Setting::when(format!("net/ipv6/conf/{}/accept_ra", self.uplink), "1", "2"));
            settings.push(Setting::always("net/ipv6/conf/all/forwarding", "1"));
        }
        settings.push(Setting::always("net/ipv4/ip_forward", "1"));
        settings
    }
}

impl Nat {
    /// Carries out the plan, and undoes what an earlier run left behind; `record` is the file that says what that is.
    ///
    /// # Errors
    /// There is no `nft`, or the kernel refuses; the message says what to do next. Then nothing stays changed.
    pub(crate) fn start(plan: Option<Plan>, record: &Path) -> anyhow::Result<Option<Self>> {
        let left = Record::read(record);
        let Some(plan) = plan else {
            if let Some(left) = left {
                warn!(table = left.table(), "an earlier run left its NAT behind: it is undone");
                undo(&left);
            }
            return Ok(None);
        };
        anyhow::ensure!(
            Capability::NetAdmin.is_held(),
            "cannot do NAT: this process lacks {}: {REMEDY}, or leave [nat] out of the configuration",
            Capability::NetAdmin
        );
        // What an earlier run found is what the kernel had before ours, too.
        let record = match left {
            Some(left) if left.table() == plan.table() => left,
            Some(left) => {
                undo(&left);
                Record::new(record, plan.table())
            }
            None => Record::new(record, plan.table()),
        };
        let mut nat = Self { uplink: plan.uplink_index(), plan, record };
        nat.record.write().context("cannot do NAT")?;
        nft::apply(&ruleset::replace(&nat.plan)).context("cannot do NAT")?;
        kernel::set(&nat.plan.settings(), &mut nat.record).context("cannot do NAT")?;
        info!(lab = nat.plan.lab, uplink = %nat.plan.uplink, "NAT is on");
        if nat.uplink.is_none() {
            warn!("{}", nat.plan.uplink_absent());
        }
        for chain in nft::other_gates(&nat.plan.table()) {
            warn!(
                chain,
                "this chain of somebody else drops what it is not told to forward: allow there what comes from and goes to {}",
                nat.plan.lab
            );
        }
        Ok(Some(nat))
    }

    async fn look_after_the_table(&mut self) {
        let plan = self.plan.clone();
        let looked = spawn_blocking(move || match nft::has_table(&plan.table())? {
            true => Ok(false),
            false => nft::apply(&ruleset::replace(&plan)).map(|()| true),
        });
        match looked.await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => warn!(table = self.plan.table(), "somebody removed the NAT table: it is there again"),
            Ok(Err(error)) => warn!(error = format!("{error:#}"), "NAT may be out of force"),
            Err(error) => warn!(%error, "NAT may be out of force"),
        }
    }

    async fn look_after_the_addresses(&mut self, netlink: &Netlink) {
        let Ok(interfaces) = netlink.interfaces().await else { return };
        let Some(lab) = interfaces.iter().find(|interface| interface.name == self.plan.lab) else { return };
        let now = Plan { addresses: addresses(lab), ..self.plan.clone() };
        if now == self.plan {
            return;
        }
        match self.put_in_place(now).await {
            Ok(()) => info!(addresses = ?self.plan.addresses, "NAT follows the lab interface's addresses"),
            Err(error) => warn!(error = format!("{error:#}"), "NAT may be out of force"),
        }
    }

    /// Machines get out by this uplink from now on.
    async fn go_by(&mut self, uplink: InterfaceName) -> anyhow::Result<()> {
        if uplink == self.plan.uplink {
            return Ok(());
        }
        self.put_in_place(Plan { uplink, ..self.plan.clone() }).await?;
        self.uplink = self.plan.uplink_index();
        info!(uplink = %self.plan.uplink, "NAT goes by another uplink");
        if self.uplink.is_none() {
            warn!("{}", self.plan.uplink_absent());
        }
        Ok(())
    }

    /// Puts another plan for the same lab in this one's place. If the kernel refuses, this one stays.
    async fn put_in_place(&mut self, plan: Plan) -> anyhow::Result<()> {
        apply(&plan).await?;
        if let Err(error) = kernel::set(&plan.settings(), &mut self.record) {
            apply(&self.plan).await?;
            return Err(error);
        }
        self.plan = plan;
        Ok(())
    }

    fn look_after_the_uplink(&mut self) {
        let now = self.plan.uplink_index();
        if now == self.uplink {
            return;
        }
        self.uplink = now;
        if now.is_none() {
            return warn!("{}", self.plan.uplink_absent());
        }
        // Its own switches are as new as it is.
        if let Err(error) = kernel::set(&self.plan.settings(), &mut self.record) {
            warn!(error = format!("{error:#}"), "the uplink may not hear router advertisements");
        }
        info!(uplink = %self.plan.uplink, "the uplink is there");
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        undo(&self.record);
        info!("NAT is off");
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {} to {}, table inet {}", self.lab, self.uplink, self.table())
    }
}

async fn apply(plan: &Plan) -> anyhow::Result<()> {
    let transaction = ruleset::replace(plan);
    spawn_blocking(move || nft::apply(&transaction)).await.map_err(anyhow::Error::from).flatten()
}

/// All addresses by which an interface is known beyond its own link.
fn addresses(interface: &Interface) -> Vec<IpAddr> {
    let ipv4 = interface.addresses.iter().map(|network| network.address().into());
    ipv4.chain(interface.ipv6.iter().map(|network| network.address().into())).collect()
}

/// Undoes what the record has. What cannot be undone stays in it, for the next start.
fn undo(record: &Record) {
    let undone = kernel::restore(record)
        .and_then(|()| nft::apply(&ruleset::remove(record.table())))
        .and_then(|()| record.remove());
    if let Err(error) = undone {
        error!(
            error = format!("{error:#}"),
            table = record.table(),
            "NAT cannot be undone: the next start tries again"
        );
    }
}
