//! What every service works from: the machines, what they can boot, and what became of them.

use std::sync::Arc;

use lab_model::Inventory;
use pxe_proto::boot::Profiles;
use tokio::sync::watch;

use crate::dhcp::Sources;
use crate::images::{self, Catalogue};
use crate::journal::{self, Journal};
use crate::plan::{Plan, Plans};
use crate::state::State;
use crate::tasks::Tasks;
use crate::{inventory, profiles};

/// Folders, as they are now.
pub(super) struct Known {
    /// The machines.
    pub(super) inventory: watch::Receiver<Arc<Inventory>>,
    /// The images.
    pub(super) images: watch::Receiver<Arc<Catalogue>>,
    /// What else than an image machines can boot.
    pub(super) profiles: watch::Receiver<Arc<Profiles>>,
    /// What happens to machines.
    pub(super) journal: Journal,
}

impl Known {
    /// Reads what is there, and starts the tasks that follow it until nobody wants to know any more.
    ///
    /// # Errors
    /// A folder or file cannot be made or read.
    pub(super) fn open(plan: &Plan, plans: Plans, state: &State, tasks: &mut Tasks) -> anyhow::Result<Self> {
        let config = &plan.config;
        let (mut reader, inventory) = inventory::open(&config.definitions(), plan.lab.networks())?;
        reader.follow(plans);
        let (journal, writer) = journal::open(&state.events(), inventory.clone())?;
        let (image_reader, images) = images::open(&config.images());
        let (profile_reader, profiles) = profiles::open(&config.profiles());
        tasks.spawn_patient("inventory", reader.run());
        tasks.spawn_patient("journal", writer.run());
        tasks.spawn_patient("images", image_reader.run());
        tasks.spawn_patient("profiles", profile_reader.run());
        Ok(Self { inventory, images, profiles, journal })
    }

    /// What decisions about addresses follow.
    pub(super) fn sources(&self, plans: Plans) -> Sources {
        Sources { inventory: self.inventory.clone(), profiles: self.profiles.clone(), plans }
    }
}
