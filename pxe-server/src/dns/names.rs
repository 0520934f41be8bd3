//! The lab's names as the inventory and the leases have them now.

use std::sync::Arc;
use std::time::SystemTime;

use lab_model::Inventory;
use pxe_proto::dns::{Origin, Sources, Zone};
use tokio::sync::watch;

use crate::dhcp::Clients;
use crate::dhcp6::Leased;

/// Where the names come from.
pub(super) struct Names {
    origin: Origin,
    inventory: watch::Receiver<Arc<Inventory>>,
    clients: watch::Receiver<Clients>,
    /// Nothing where we give no IPv6 addresses.
    leased6: Option<watch::Receiver<Leased>>,
}

impl Names {
    /// The names of this domain, these machines and these leases.
    pub(super) fn new(
        origin: Origin,
        inventory: watch::Receiver<Arc<Inventory>>,
        clients: watch::Receiver<Clients>,
        leased6: Option<watch::Receiver<Leased>>,
    ) -> Self {
        Self { origin, inventory, clients, leased6 }
    }

    /// The lab's domains are these from now on.
    pub(super) fn set_origin(&mut self, origin: Origin) {
        self.origin = origin;
    }

    /// Whether there are other names by now than in this zone. Looked at when somebody asks: between two questions leases may
    /// change often.
    pub(super) fn have_changed(&self, zone: &Zone, now: SystemTime) -> bool {
        let changed = self.inventory.has_changed().unwrap_or(false) || self.clients.has_changed().unwrap_or(false);
        let changed6 = self.leased6.as_ref().is_some_and(|leased| leased.has_changed().unwrap_or(false));
        changed || changed6 || zone.is_outdated(now.into())
    }

    /// The names that there are now.
    pub(super) fn zone(&mut self, previous: Option<&Zone>, now: SystemTime) -> Zone {
        let inventory = self.inventory.borrow_and_update().clone();
        let clients = self.clients.borrow_and_update();
        let leased6 = self.leased6.as_mut().map(watch::Receiver::borrow_and_update);
        let sources = Sources {
            inventory: &inventory,
            leases: clients.leases_by_address(),
            leases6: leased6.iter().flat_map(|leased| leased.leases_by_address()),
        };
        Zone::build(&self.origin, sources, previous, now.into())
    }
}
