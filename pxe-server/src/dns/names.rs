//! The lab's names as the inventory and the leases have them now.

use std::sync::Arc;
use std::time::SystemTime;

use lab_model::Inventory;
use pxe_proto::dns::{Origin, Zone};
use tokio::sync::watch;

use crate::dhcp::Clients;

/// Where the names come from.
pub(super) struct Names {
    origin: Origin,
    inventory: watch::Receiver<Arc<Inventory>>,
    clients: watch::Receiver<Clients>,
}

impl Names {
    /// The names of this domain, these machines and these leases.
    pub(super) fn new(
        origin: Origin,
        inventory: watch::Receiver<Arc<Inventory>>,
        clients: watch::Receiver<Clients>,
    ) -> Self {
        Self { origin, inventory, clients }
    }

    /// The lab's domains are these from now on.
    pub(super) fn set_origin(&mut self, origin: Origin) {
        self.origin = origin;
    }

    /// Whether there are other names by now than in this zone. Looked at when somebody asks: between two questions leases may
    /// change often.
    pub(super) fn have_changed(&self, zone: &Zone, now: SystemTime) -> bool {
        let changed = self.inventory.has_changed().unwrap_or(false) || self.clients.has_changed().unwrap_or(false);
        changed || zone.is_outdated(now.into())
    }

    /// The names that there are now.
    pub(super) fn zone(&mut self, previous: Option<&Zone>, now: SystemTime) -> Zone {
        let inventory = self.inventory.borrow_and_update().clone();
        let clients = self.clients.borrow_and_update();
        Zone::build(&self.origin, &inventory, clients.leases_by_address(), previous, now.into())
    }
}
