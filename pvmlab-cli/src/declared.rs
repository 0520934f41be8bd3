//! From a lab file to what [`crate::plan`] compares, and from its changes back to files.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::str::FromStr;

use cloud_seed::Purpose;
use lab_model::{Definition, MachineName, Role};

use crate::cloud_init::{Files, Told};
use crate::disk::{self, Size};
use crate::error::{Failure, Kind, Result};
use crate::hardware::Hardware;
use crate::home::{Home, Lock};
use crate::lab_file::{DeclaredProvisioner, DeclaredTarget, LabFile};
use crate::lab_network::HostAddress;
use crate::new_machine::NewMachine;
use crate::plan::{Change, Present, Wanted};
use crate::qemu::power;
use crate::ssh;
use crate::store::Store;
use crate::ui::Ui;

/// A machine that a lab file names.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) name: MachineName,
    /// What is compared with the machine that there is.
    pub(crate) wanted: Wanted,
    /// How it is made where there is none.
    pub(crate) new: NewMachine,
}

/// Every machine of the lab file in `folder`, the provisioner first.
///
/// # Errors
/// A value makes no sense, and the message names its key; or a file that it names cannot be used.
pub(crate) fn machines(file: &LabFile, folder: &Path, ui: Ui) -> Result<Vec<Declared>> {
    let targets = file.targets.iter().map(|(name, target)| of_target(name, target, folder, ui));
    std::iter::once(of_provisioner(&file.provisioner)).chain(targets).collect()
}

/// What can be known before anything is done: no two machines share an address, and every image is here.
///
/// # Errors
/// The first thing that would fail later, when half of the lab is made.
pub(crate) fn check(declared: &[Declared], home: &Home) -> Result<()> {
    let mut claimed = BTreeMap::new();
    for Declared { name, new, .. } in declared {
        let claims = [
            ("ip", new.ip.map(|ip| ip.address.to_string())),
            ("ipv6", new.ipv6.map(|ip| ip.address.to_string())),
            ("mac", new.mac.map(|mac| mac.to_string())),
        ];
        for (key, value) in claims.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            let message = format!("{key}: {value} is declared for");
            if let Some(other) = claimed.insert((key, value), name) {
                return Err(Failure::new(Kind::Conflict, format!("{message} `{other}` and for `{name}`"))
                    .hinted("each machine needs its own: leave it out for a free one"));
            }
        }
        if !home.disk(name).exists() {
            new.check(home)?;
        }
    }
    Ok(())
}

/// The machines that there are.
///
/// # Errors
/// A machine's disk or hardware cannot be read.
pub(crate) fn present(store: &Store, home: &Home) -> Result<BTreeMap<MachineName, Present>> {
    let lab_key = ssh::public_key(home).unwrap_or_default();
    let machines = store.machines().iter().map(|stored| {
        let (definition, machine) = (&stored.definition, &stored.machine);
        let hardware = Hardware::read(home, &machine.name, machine.role)?;
        let present = Present {
            arch: machine.arch,
            mac: machine.mac,
            ip: machine.address.map(|address| address.to_string()).unwrap_or_default(),
            ipv6: machine.ipv6.map(|address| address.to_string()).unwrap_or_default(),
            pxeboot: definition.pxeboot,
            distro: definition.distro.clone(),
            profile: definition.profile.clone(),
            disk_bytes: disk::size(&home.disk(&machine.name))?.bytes(),
            memory_mib: hardware.memory_mib,
            cpus: hardware.cpus,
            told: Told {
                cloud_init: definition.cloud_init(),
                ssh_keys: machine.ssh_keys.iter().filter(|key| **key != lab_key).cloned().collect(),
            },
            running: power::running(home, &machine.name)?.is_some(),
        };
        Ok((machine.name.clone(), present))
    });
    machines.collect()
}

/// Makes a machine what the file says.
///
/// # Errors
/// The changed definition contradicts another machine's, or a disk cannot grow; then nothing was changed by this machine's
/// definition.
pub(crate) fn change(name: &MachineName, changes: &[Change], home: &Home, _lock: &Lock) -> Result<()> {
    let store = Store::read(home)?;
    let stored = store.find(name)?;
    let mut definition = stored.definition.clone();
    let mut hardware = Hardware::read(home, name, stored.machine.role)?;
    let mut larger = None;
    for change in changes {
        match change {
            Change::Ip(ip) => definition.ip.clone_from(ip),
            Change::Ipv6(ipv6) => definition.ipv6.clone_from(ipv6),
            Change::Pxeboot(pxeboot) => definition.pxeboot = *pxeboot,
            Change::Distro(distro) => definition.distro = Some(distro.clone()),
            Change::Profile(profile) => definition.profile = Some(profile.clone()),
            Change::Disk(bytes) => larger = Some(Size::of_bytes(*bytes)),
            Change::Memory(mib) => hardware.memory_mib = *mib,
            Change::Cpus(count) => hardware.cpus = *count,
            Change::CloudInit(Purpose::UserData, text) => definition.user_data = Some(text.clone()),
            Change::CloudInit(Purpose::VendorData, text) => definition.vendor_data = Some(text.clone()),
            Change::CloudInit(Purpose::NetworkConfig, text) => definition.network_config = Some(text.clone()),
            Change::SshKeys(keys) => definition.ssh_key = ssh::with_lab_key(home, keys)?,
        }
    }
    if definition != stored.definition {
        store.check_changed(&stored.file, &definition)?;
    }
    hardware.check()?;
    if let Some(size) = larger {
        disk::grow(&home.disk(name), size)?;
    }
    if hardware != Hardware::read(home, name, stored.machine.role)? {
        hardware.write(home, name)?;
    }
    if definition == stored.definition { Ok(()) } else { write(&definition, &stored.file, home) }
}

/// A definition that somebody wrote as TOML becomes JSON, the form that this command writes.
pub(crate) fn write(definition: &Definition, file: &str, home: &Home) -> Result<()> {
    Store::write(home, definition)?;
    let written = home.definition(&definition.name);
    let former = home.vms().join(file);
    if former != written {
        crate::removal::remove_path(&former)?;
    }
    Ok(())
}

fn of_provisioner(declared: &DeclaredProvisioner) -> Result<Declared> {
    let DeclaredProvisioner { name, ip, ipv6, arch, mac, distro, disk_size, memory_mib, cpus } = declared;
    let key = |key: &str| format!("provisioner.{key}");
    let ipv6: Option<HostAddress<Ipv6Addr>> = parsed(ipv6.as_deref(), &key("ipv6"))?;
    let size: Option<Size> = parsed(disk_size.as_deref(), &key("disk-size"))?;
    let wanted = Wanted {
        arch: *arch,
        mac: *mac,
        ip: Some(ip.address().to_string()),
        ipv6: ipv6.map(|ipv6| ipv6.address.to_string()),
        pxeboot: None,
        // A provisioner is not installed anew.
        distro: None,
        profile: None,
        disk_bytes: size.map(Size::bytes),
        memory_mib: *memory_mib,
        cpus: *cpus,
        ..Wanted::default()
    };
    let new = NewMachine {
        name: name.clone(),
        role: Role::Provisioner,
        arch: *arch,
        ip: Some(HostAddress { address: ip.address(), prefix: Some(ip.prefix()) }),
        ipv6,
        mac: *mac,
        distro: distro.clone(),
        profile: None,
        disk_size: size.unwrap_or(Size::USUAL),
        pxeboot: false,
        memory_mib: *memory_mib,
        cpus: *cpus,
        network: None,
        told: Told::default(),
    };
    Ok(Declared { name: name.clone(), wanted, new })
}

fn of_target(name: &MachineName, declared: &DeclaredTarget, folder: &Path, ui: Ui) -> Result<Declared> {
    let DeclaredTarget { ip, ipv6, pxeboot, arch, mac, distro, profile, disk_size, memory_mib, cpus, .. } = declared;
    let files = Files {
        user_data: declared.user_data.clone(),
        vendor_data: declared.vendor_data.clone(),
        network_config: declared.network_config.clone(),
        ssh_keys: declared.ssh_keys.clone().unwrap_or_default(),
    };
    let told = files.read(folder, ui)?;
    let key = |key: &str| format!("targets.{name}.{key}");
    let ip: Option<HostAddress<Ipv4Addr>> = parsed(ip.as_deref(), &key("ip"))?;
    let ipv6: Option<HostAddress<Ipv6Addr>> = parsed(ipv6.as_deref(), &key("ipv6"))?;
    let size: Option<Size> = parsed(disk_size.as_deref(), &key("disk-size"))?;
    let wanted = Wanted {
        arch: *arch,
        mac: *mac,
        ip: ip.map(|ip| ip.address.to_string()),
        ipv6: ipv6.map(|ipv6| ipv6.address.to_string()),
        pxeboot: Some(*pxeboot),
        distro: distro.clone(),
        profile: profile.clone(),
        disk_bytes: size.map(Size::bytes),
        memory_mib: *memory_mib,
        cpus: *cpus,
        cloud_init: told.cloud_init.clone(),
        ssh_keys: declared.ssh_keys.as_ref().map(|_| told.ssh_keys.clone()),
    };
    let new = NewMachine {
        name: name.clone(),
        role: Role::Target,
        arch: *arch,
        ip,
        ipv6,
        mac: *mac,
        distro: distro.clone(),
        profile: profile.clone(),
        disk_size: size.unwrap_or(Size::USUAL),
        pxeboot: *pxeboot,
        memory_mib: *memory_mib,
        cpus: *cpus,
        network: None,
        told,
    };
    Ok(Declared { name: name.clone(), wanted, new })
}

fn parsed<T: FromStr<Err: Display>>(text: Option<&str>, key: &str) -> Result<Option<T>> {
    text.map(|text| text.parse().map_err(|error| Failure::new(Kind::Usage, format!("{key}: {error}")))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_example_names_files_that_are_there() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/lab");
        let file = LabFile::read(&folder.join("lab.toml")).expect("a lab");

        let declared = machines(&file, &folder, Ui { json: false, quiet: true }).expect("machines");

        assert!(declared.iter().any(|machine| machine.wanted.cloud_init.user_data.is_some()));
    }
}
