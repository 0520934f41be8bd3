//! A machine's hardware: what the lab remembers of it beside its definition, and what is derived from its hardware address.

use std::fmt;

use lab_model::{MacAddr, MachineName, Role};
use serde::{Deserialize, Serialize};

use crate::error::{Failure, Kind, Result};
use crate::file;
use crate::home::Home;
use crate::network::Network;

/// What a machine is built from; valid from its next start on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Hardware {
    /// How much memory it has, in MiB.
    pub(crate) memory_mib: u32,
    /// How many processors it has.
    pub(crate) cpus: u32,
    /// What the firmware tries first.
    #[serde(default)]
    pub(crate) boot: BootOrder,
    /// What its interface on the lab network is plugged into; absent: what is usual on this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) network: Option<Network>,
}

/// What a machine's firmware tries first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BootOrder {
    /// The disk; the network where the disk does not boot and the machine is defined to boot from the network.
    #[default]
    Disk,
    /// The network, then the disk.
    Pxe,
}

impl Hardware {
    /// What a machine has when nobody says otherwise.
    pub(crate) fn usual(role: Role) -> Self {
        let memory_mib = match role {
            Role::Provisioner => 4096,
            Role::Target => 2048,
        };
        Self { memory_mib, cpus: 2, boot: BootOrder::Disk, network: None }
    }

    /// What the lab remembers of `name`; what is usual where it remembers nothing, as of the first pvmlab's machines.
    ///
    /// # Errors
    /// The file says something that cannot be.
    pub(crate) fn read(home: &Home, name: &MachineName, role: Role) -> Result<Self> {
        let path = home.hardware(name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::usual(role)),
            Err(error) => {
                return Err(Failure::new(Kind::Failed, format!("cannot read {}: {error}", path.display())));
            }
        };
        let problem = |what: String| {
            Failure::new(Kind::Failed, format!("{}: {what}", path.display()))
                .hinted("mend the file, or remove it: the machine then has the usual hardware")
        };
        let hardware: Self = serde_json::from_str(&text).map_err(|error| problem(error.to_string()))?;
        hardware.check().map_err(|error| problem(error.to_string()))?;
        Ok(hardware)
    }

    /// Remembers it.
    ///
    /// # Errors
    /// It cannot be, or the disk is full.
    pub(crate) fn write(&self, home: &Home, name: &MachineName) -> Result<()> {
        self.check()?;
        let mut text = serde_json::to_string_pretty(self).map_err(anyhow::Error::from)?;
        text.push('\n');
        file::replace(&home.hardware(name), text.as_bytes())?;
        Ok(())
    }

    /// # Errors
    /// No machine can be built so.
    pub(crate) fn check(&self) -> Result<()> {
        if self.memory_mib < LEAST_MEMORY_MIB {
            let message = format!("memory of {} MiB: expected at least {LEAST_MEMORY_MIB}", self.memory_mib);
            return Err(Failure::new(Kind::Usage, message));
        }
        if !(1..=MOST_CPUS).contains(&self.cpus) {
            return Err(Failure::new(Kind::Usage, format!("{} processors: expected 1 to {MOST_CPUS}", self.cpus)));
        }
        Ok(())
    }
}

/// The hardware address of a provisioner's first interface, the uplink; `mac`, as defined, is that of its lab interface.
///
/// Locally administered, and never `mac` itself: the last byte's highest bit is the other one.
pub(crate) fn uplink_mac(mac: MacAddr) -> MacAddr {
    let [first, second, third, fourth, fifth, last] = mac.bytes();
    MacAddr::new([first | 0x02, second, third, fourth, fifth, last ^ 0x80])
}

/// The SMBIOS UUID, which PXE clients send as option 97 (RFC 4578 §2.3); the last bytes are the hardware address.
pub(crate) fn uuid(mac: MacAddr) -> String {
    let digits: String = mac.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("70766d6c-6162-4000-8000-{digits}")
}

/// EDK2 does not start in less.
const LEAST_MEMORY_MIB: u32 = 128;

/// What one GICv3 redistributor region of QEMU's `virt` machine holds.
const MOST_CPUS: u32 = 123;

impl fmt::Display for BootOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disk => "disk",
            Self::Pxe => "pxe",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let (_folder, home) = Home::in_a_temporary_folder();
        let name: MachineName = "web".parse().expect("a name");
        let hardware = Hardware { memory_mib: 512, boot: BootOrder::Pxe, ..Hardware::usual(Role::Target) };

        hardware.write(&home, &name).expect("written");

        assert_eq!(Hardware::read(&home, &name, Role::Target).expect("read"), hardware);
    }

    #[test]
    fn a_machine_that_nothing_is_remembered_of_has_the_usual_hardware() {
        let (_folder, home) = Home::in_a_temporary_folder();

        let hardware = Hardware::read(&home, &"web".parse().expect("a name"), Role::Provisioner).expect("usual");

        assert_eq!((hardware.memory_mib, hardware.cpus), (4096, 2));
    }

    #[test]
    fn nonsense_is_told_with_its_file() {
        let (_folder, home) = Home::in_a_temporary_folder();
        let name: MachineName = "web".parse().expect("a name");
        let problem = |text: &str| {
            std::fs::write(home.hardware(&name), text).expect("written");
            let failure = Hardware::read(&home, &name, Role::Target).expect_err("nonsense").to_string();
            failure.replace(&home.root().display().to_string(), "HOME")
        };

        assert_eq!(
            problem("{\"memory-mib\": 1, \"cpus\": 1}"),
            "HOME/configs/hardware/web.json: memory of 1 MiB: expected at least 128"
        );
        assert_eq!(
            problem("{\"memory-mib\": 512}"),
            "HOME/configs/hardware/web.json: missing field `cpus` at line 1 column 19"
        );
    }

    #[test]
    fn the_uplinks_hardware_address_is_another() {
        let mac = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x10]);

        assert_eq!(uplink_mac(mac).to_string(), "52:54:00:77:00:90");
        assert_eq!(uuid(mac), "70766d6c-6162-4000-8000-525400770010");
    }
}
