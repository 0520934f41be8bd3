//! Controllers that no driver has taken: what is behind them is not seen.

use std::fmt;
use std::fs;
use std::path::Path;

/// A PCI controller without a driver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Undriven {
    /// What it is for.
    pub kind: Kind,
    /// Vendor and device, as `8086:1533`.
    pub id: String,
    /// Where it sits, as `0000:01:00.0`.
    pub place: String,
}

/// What a controller is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A network interface.
    Network,
    /// Disks.
    Storage,
    /// Disks, in theory: the IDE or SATA controller that an emulated chipset has whether or not anything is attached to it.
    EmulatedStorage,
}

impl fmt::Display for Undriven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Network => "network",
            Kind::Storage | Kind::EmulatedStorage => "storage",
        };
        write!(f, "{kind} controller {} at {}", self.id, self.place)
    }
}

/// Network and storage controllers under `sys` that no driver has taken.
pub fn undriven(sys: &Path) -> Vec<Undriven> {
    let mut found = Vec::new();
    for entry in fs::read_dir(sys.join("bus/pci/devices")).into_iter().flatten().flatten() {
        let folder = entry.path();
        let read = |file: &str| {
            let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
            text.trim().trim_start_matches("0x").to_owned()
        };
        // PCI Code and ID Assignment §1: the class is the first byte of three, the subclass the second.
        let kind = match read("class").get(..4) {
            Some("0101" | "0106") if (&*read("subsystem_vendor"), &*read("subsystem_device")) == QEMU => {
                Kind::EmulatedStorage
            }
            Some(class) if class.starts_with("01") => Kind::Storage,
            Some(class) if class.starts_with("02") => Kind::Network,
            Some(_) | None => continue,
        };
        if !folder.join("driver").exists() {
            let id = format!("{}:{}", read("vendor"), read("device"));
            found.push(Undriven { kind, id, place: entry.file_name().to_string_lossy().into_owned() });
        }
    }
    found.sort();
    found
}

/// The subsystem of all that QEMU emulates and that is no virtio device (QEMU, docs/specs/pci-ids.rst).
const QEMU: (&str, &str) = ("1af4", "1100");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_without_a_driver_is_named() {
        let sys = tempfile::tempdir().expect("a folder");
        let put = |device: &str, class: &str, subsystem: &str, driver: bool| {
            let folder = sys.path().join("bus/pci/devices").join(device);
            fs::create_dir_all(if driver { folder.join("driver") } else { folder.clone() }).expect("a folder");
            for (file, text) in [
                ("class", class),
                ("vendor", "0x8086"),
                ("device", "0x1533"),
                ("subsystem_vendor", subsystem),
                ("subsystem_device", "0x1100"),
            ] {
                fs::write(folder.join(file), format!("{text}\n")).expect("a file");
            }
        };
        put("0000:00:01.0", "0x020000", "0x1af4", false);
        put("0000:00:02.0", "0x010802", "0x8086", true);
        put("0000:00:03.0", "0x030000", "0x1af4", false);
        put("0000:00:04.0", "0x010700", "0x1af4", false);
        put("0000:00:1f.2", "0x010601", "0x1af4", false);
        put("0000:01:1f.2", "0x010601", "0x1043", false);

        let found: Vec<_> = undriven(sys.path()).into_iter().map(|one| (one.kind, one.to_string())).collect();

        let name = |kind: &str, place: &str| format!("{kind} controller 8086:1533 at {place}");
        assert_eq!(
            found,
            [
                (Kind::Network, name("network", "0000:00:01.0")),
                (Kind::Storage, name("storage", "0000:00:04.0")),
                (Kind::Storage, name("storage", "0000:01:1f.2")),
                (Kind::EmulatedStorage, name("storage", "0000:00:1f.2")),
            ]
        );
    }
}
