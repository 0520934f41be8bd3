//! Cloning a machine: another one that begins with what is on its disk, or nothing.
//!
//! The definition is written last, as of every new machine. Until it is there, nobody knows the clone.

use std::fs;
use std::net::Ipv4Addr;

use anyhow::Context as _;
use lab_model::{Definition, MacAddr, Machine, MachineName, Role};

use crate::disk;
use crate::error::{Failure, Kind, Result};
use crate::hardware::Hardware;
use crate::home::{Home, Lock};
use crate::interrupt::Interrupt;
use crate::lab_network::HostAddress;
use crate::new_machine::{self, Undo};
use crate::snapshot;
use crate::store::{Store, Stored};

/// What is another in the clone; what is `None` is chosen.
#[derive(Clone, Debug)]
pub(crate) struct Clone {
    pub(crate) name: MachineName,
    pub(crate) ip: Option<HostAddress<Ipv4Addr>>,
    pub(crate) mac: Option<MacAddr>,
}

impl Clone {
    /// Makes it from a machine that is off.
    ///
    /// # Errors
    /// That one runs or is the provisioner, the clone contradicts the lab, the disk is full, or somebody wants this to end; then
    /// the lab is as it was.
    pub(crate) fn create(&self, original: &MachineName, home: &Home, _lock: &Lock) -> Result<Machine> {
        let store = Store::read(home)?;
        let Stored { definition, machine, .. } = store.find(original)?;
        if machine.role == Role::Provisioner {
            return Err(Failure::new(Kind::Usage, format!("{original} is the provisioner: a lab has one"))
                .hinted("another lab can be in another home: set PVMLAB_HOME"));
        }
        snapshot::require_off(home, original)?;
        let network = store.require_network()?;
        new_machine::check_prefix(self.ip, network.ipv4.prefix())?;
        let address = self.ip.map_or_else(|| store.free_address(), |ip| Ok(ip.address))?;
        let definition = Definition {
            name: self.name.clone(),
            mac: self.mac.map_or_else(|| store.free_mac(), Ok)?,
            ip: address.to_string(),
            // There is no next free one as there is of IPv4.
            ipv6: String::new(),
            once: None,
            subnetv6: String::new(),
            ..definition.clone()
        };
        let machine = store.check_new(&definition)?;

        let interrupt = Interrupt::hold();
        let vms = home.vms();
        let new = tempfile::Builder::new().prefix(".new-").suffix(".qcow2").tempfile_in(&vms);
        let new = new.with_context(|| format!("cannot write to {}", vms.display()))?.into_temp_path();
        let copied = disk::copy(&home.disk(original), &new);
        // Of Ctrl-C, the other program's failure is only a consequence.
        interrupt.check()?;
        copied?;

        let mut undo = Undo::default();
        undo.note(home.seed(&self.name));
        undo.note(home.seed_image(&self.name));
        new_machine::write_seed(home, &machine, network)?;
        undo.note(home.hardware(&self.name));
        let hardware = Hardware::read(home, original, machine.role)?;
        if hardware != Hardware::usual(machine.role) {
            hardware.write(home, &self.name)?;
        }
        undo.note(home.firmware_variables(&self.name));
        let variables = home.firmware_variables(original);
        if variables.exists() {
            fs::copy(&variables, home.firmware_variables(&self.name)).context("cannot copy the firmware variables")?;
        }
        undo.note(home.disk(&self.name));
        new.persist(home.disk(&self.name)).context("cannot put the disk in place")?;
        interrupt.check()?;
        Store::write(home, &definition)?;
        undo.forget();
        Ok(machine)
    }
}
