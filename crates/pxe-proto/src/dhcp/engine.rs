//! The decisions (RFC 2131 §4.3).

use std::sync::Arc;
use std::time::SystemTime;

use lab_model::{Inventory, MacAddr, What};

use super::{Config, Ignored, LeaseRecord, Reply, Request};

/// Gives addresses to clients and says what they boot.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    inventory: Arc<Inventory>,
}

/// What is to be done about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this.
    Reply(Box<Reply>),
    /// Keep this: the client gave an address back, or declined it. Nothing is sent.
    Record(Box<Change>),
    /// Count it.
    Ignore(Ignored),
}

/// A change that nobody is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// For the lease journal.
    pub lease: LeaseRecord,
    /// What it means for the machine's boot.
    pub event: Option<(MacAddr, What)>,
}

impl Engine {
    /// An engine that knows of no lease yet.
    pub fn new(config: Config, inventory: Arc<Inventory>) -> Self {
        Self { config, inventory }
    }

    /// Takes up a lease from the journal; they come in the order in which they were written, before the first request.
    pub fn restore(&mut self, lease: LeaseRecord) {
        drop(lease);
    }

    /// Decides what is done about a request that arrived `now`.
    pub fn handle(&mut self, request: &Request, now: SystemTime) -> Action {
        let _ = (now, &self.config, &self.inventory, request);
        Action::Ignore(Ignored::NoAddress)
    }

    /// Works from this inventory from now on.
    pub fn set_inventory(&mut self, inventory: Arc<Inventory>) {
        self.inventory = inventory;
    }

    /// Every lease that is to be kept, in the order of addresses: what a snapshot of the journal consists of.
    pub fn leases(&self) -> impl Iterator<Item = &LeaseRecord> {
        std::iter::empty()
    }
}
