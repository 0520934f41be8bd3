//! Where the partitions of the disk lie.
//!
//! As vendors of cloud images have it: the root is partition 1 but lies last, so that it can grow to the end of whatever
//! disk it is written to; the EFI system partition is number 15 and lies first.

use std::path::Path;
use std::process::Command;

use serde::Serialize;

use super::recipe::{Identifier, ImageRecipe};

/// Sizes in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Layout {
    pub(super) disk_mib: u64,
    pub(super) esp_mib: u64,
    /// The file system of `/boot`; none where that is a folder of the root.
    pub(super) boot_mib: Option<u64>,
}

/// A run of bytes on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) size: u64,
}

impl Layout {
    pub(super) const DEBIAN_12: Self = Self { disk_mib: 1536, esp_mib: 48, boot_mib: None };
    /// Drivers for every machine take several hundred MiB.
    pub(super) const DEBIAN_12_GENERIC: Self = Self { disk_mib: 2048, ..Self::DEBIAN_12 };
    pub(super) const BOOT_PARTITION: Self = Self { boot_mib: Some(160), ..Self::DEBIAN_12 };
    /// The EFI system partition has kernel and initrd.
    pub(super) const ENTRIES: Self = Self { esp_mib: 160, ..Self::DEBIAN_12 };

    pub(super) fn disk_size(self) -> u64 {
        self.disk_mib * MIB
    }

    pub(super) fn esp(self) -> Extent {
        Extent { offset: MIB, size: self.esp_mib * MIB }
    }

    pub(super) fn boot(self) -> Option<Extent> {
        let esp = self.esp();
        self.boot_mib.map(|mib| Extent { offset: esp.offset + esp.size, size: mib * MIB })
    }

    /// Ends a MiB before the disk does: the last 33 sectors hold the backup partition table (UEFI 2.10 §5.3.1).
    pub(super) fn root(self) -> Extent {
        let before = self.boot().unwrap_or(self.esp());
        let offset = before.offset + before.size;
        Extent { offset, size: self.disk_size() - MIB - offset }
    }
}

impl Extent {
    /// First and last sector, as `sgdisk` wants them.
    fn sectors(self) -> (u64, u64) {
        (self.offset / SECTOR, (self.offset + self.size) / SECTOR - 1)
    }
}

/// The command that writes the partition table of `recipe` into the file `disk`.
pub(super) fn partition(recipe: &ImageRecipe, disk: &Path) -> Command {
    let mut command = Command::new("sgdisk");
    command.arg("--clear").arg(format!("--disk-guid={}", recipe.identifier("disk")));
    let esp = (15, recipe.layout.esp(), "ef00", "esp", recipe.identifier("esp"));
    let root = (1, recipe.layout.root(), "8300", "root", recipe.identifier("root partition"));
    let boot = recipe.layout.boot().map(|extent| (16, extent, "8300", "boot", recipe.identifier("boot partition")));
    for (number, extent, kind, name, identifier) in [esp].into_iter().chain(boot).chain([root]) {
        command.args(partition_arguments(number, extent, kind, name, identifier));
    }
    command.arg(disk);
    command
}

fn partition_arguments(number: u32, extent: Extent, kind: &str, name: &str, identifier: Identifier) -> [String; 4] {
    let (first, last) = extent.sectors();
    [
        format!("--new={number}:{first}:{last}"),
        format!("--typecode={number}:{kind}"),
        format!("--change-name={number}:{name}"),
        format!("--partition-guid={number}:{identifier}"),
    ]
}

pub(super) const MIB: u64 = 1 << 20;
pub(super) const SECTOR: u64 = 512;

#[cfg(test)]
mod tests {
    use lab_model::Arch;

    use super::*;
    use crate::image::recipe::{Kernel, Shape};

    #[test]
    fn the_root_lies_last_and_leaves_room_for_the_backup_table() {
        let layout = Layout { disk_mib: 100, esp_mib: 40, boot_mib: None };
        let with_boot = Layout { boot_mib: Some(10), ..layout };

        assert_eq!(layout.esp(), Extent { offset: MIB, size: 40 * MIB });
        assert_eq!(layout.root(), Extent { offset: 41 * MIB, size: 58 * MIB });
        assert_eq!(with_boot.boot(), Some(Extent { offset: 41 * MIB, size: 10 * MIB }));
        assert_eq!(with_boot.root(), Extent { offset: 51 * MIB, size: 48 * MIB });
    }

    #[test]
    fn partitions_are_numbered_as_vendors_do_and_aligned_to_a_mebibyte() {
        let recipe = ImageRecipe::debian_12(Kernel::Cloud, Shape::Root, Arch::X86_64);

        let command = partition(&recipe, Path::new("disk.raw"));

        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        let without_identifiers: Vec<_> = words.iter().filter(|word| !word.contains("guid")).collect();
        assert_eq!(
            without_identifiers,
            [
                "--clear",
                "--new=15:2048:100351",
                "--typecode=15:ef00",
                "--change-name=15:esp",
                "--new=1:100352:3143679",
                "--typecode=1:8300",
                "--change-name=1:root",
                "disk.raw",
            ]
        );
        assert_eq!(words.iter().filter(|word| word.contains("guid")).count(), 3);
    }
}
