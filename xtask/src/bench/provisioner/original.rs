//! A provisioner the original's way: the image's cloud-init installs the services and starts them.

use std::{fs, path::PathBuf};

use anyhow::Result;
use cloud_seed::Seed;
use lab_tests::{SERVER, network};

use super::{
    container,
    machine::{Machine, PROVISIONER, Start, UPLINK},
};

/// Its disks beside the image.
pub(super) struct Original {
    container: PathBuf,
    seed: PathBuf,
}

impl Original {
    /// Writes its disks.
    ///
    /// # Errors
    /// The packages cannot be fetched.
    pub(super) fn prepare(machine: &Machine) -> Result<Self> {
        let original = Self { container: machine.file("container.img"), seed: machine.file("original.iso") };
        // The cache may be where emulators cannot read.
        fs::copy(container::disk(machine.arch(), machine.manifest(), &machine.system())?, &original.container)?;
        fs::write(&original.seed, cloud_seed::iso(&seed()))?;
        Ok(original)
    }

    /// Starts it once.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn start(&self, machine: &Machine) -> Result<Start> {
        machine.start(&[&self.seed, &self.container])
    }
}

fn seed() -> Seed {
    let address = format!("{SERVER}/{}", network().prefix());
    let values = [("{uplink_mac}", UPLINK.to_string()), ("{lab_mac}", PROVISIONER.to_string()), ("{address}", address)];
    let network_config = include_str!("container/network-config").to_owned();
    Seed {
        meta_data: "instance-id: original\nlocal-hostname: provisioner\n".to_owned(),
        user_data: include_str!("container/user-data").to_owned(),
        network_config: values.iter().fold(network_config, |text, (name, value)| text.replace(name, value)),
        vendor_data: "#cloud-config\n{}\n".to_owned(),
    }
}
