//! Every lease that a server of a configuration would start with, and who is meant by it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use lab_model::{Inventory, MacAddr};
use pxe_proto::dhcp::{self, LeaseRecord, LeaseState, UnixSeconds};
use pxe_proto::dhcp6;
use serde::de::DeserializeOwned;

use super::Contents;
use crate::config::Config;
use crate::definitions::Folder;
use crate::interface::{Interface, Netlink};
use crate::plan::Plan;
use crate::state::State;

/// The leases, as the engines have them.
pub(super) struct Book {
    pub(super) leases: dhcp::Engine,
    /// None where the lab has no IPv6.
    pub(super) leases6: Option<dhcp6::Engine>,
    inventory: Arc<Inventory>,
}

impl Book {
    /// Reads them, also while a server writes them.
    ///
    /// # Errors
    /// The configuration does not fit this machine as it is, or a file cannot be read.
    pub(super) fn read(config: &Config) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let interfaces = runtime.block_on(async { Netlink::open()?.interfaces().await })?;
        let interface = config.lab.interface.as_ref().map(|_| Interface::of(config, &interfaces)).transpose()?;
        let plan = Plan::new(config.clone(), interface.as_ref())?;
        let definitions = Folder::new(&config.definitions()).read(SystemTime::now());
        let definitions = match definitions {
            Ok(files) => files.unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", config.definitions().display()));
            }
        };
        let inventory = Arc::new(Inventory::build(&definitions, plan.lab.networks(), &Inventory::default()));

        // Nobody is answered: the link is asked about no address, and who serves is told to nobody.
        let mut leases = dhcp::Engine::new(plan.dhcp(false), inventory.clone());
        kept(&State::leases_in(&config.state()))?.into_iter().for_each(|lease| leases.restore(lease));
        let mut leases6 = plan.dhcp6(&[]).map(|config| dhcp6::Engine::new(config, inventory.clone()));
        if let Some(leases6) = &mut leases6 {
            kept(&State::leases6_in(&config.state()))?.into_iter().for_each(|lease| leases6.restore(lease));
        }
        Ok(Self { leases, leases6, inventory })
    }

    /// The machine's name, by its definition or by its own word.
    pub(super) fn name<A>(&self, lease: &LeaseRecord<A>) -> Option<String> {
        self.machine(lease.mac).or_else(|| lease.hostname.as_ref().map(ToString::to_string))
    }

    /// The machine's name by its definition.
    pub(super) fn machine(&self, mac: MacAddr) -> Option<String> {
        self.inventory.by_mac(mac).map(|machine| machine.name.to_string())
    }

    /// The IPv6 leases, by address.
    pub(super) fn all6(&self) -> impl Iterator<Item = &LeaseRecord<std::net::Ipv6Addr>> {
        self.leases6.iter().flat_map(dhcp6::Engine::leases)
    }
}

/// Whether somebody has the address.
pub(super) fn is_current<A>(lease: &LeaseRecord<A>, now: UnixSeconds) -> bool {
    lease.state == LeaseState::Bound && lease.is_active(now)
}

fn kept<A: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<LeaseRecord<A>>> {
    match Contents::read(path) {
        Ok(contents) => Ok(contents.leases),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read the leases in {}", path.display())),
    }
}
