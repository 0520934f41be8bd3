//! Which disk is written.
//!
//! The one that the definition names, or the only one there is: the installer never guesses between two, and takes no disk for
//! the only one while a controller without a driver may hide others.

mod name;
mod scan;
mod settling;

use std::path::{Path, PathBuf};

use lab_model::DiskName;

use crate::controller::{Kind, Undriven};
use crate::partition::SECTOR;
use crate::size::Size;

pub use scan::scan;
pub use settling::wait;

/// A block device as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's name, such as `vda`.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
    /// What it calls itself; empty where it does not say.
    pub model: String,
    /// Its serial number; empty where it has none.
    pub serial: String,
    /// Its world-wide identifier in the kernel's form (`naa.…`, `eui.…`, `t10.…`); empty where it has none.
    pub wwid: String,
    /// Bytes in a logical sector.
    pub sector: u64,
    /// Why nothing can be installed on it.
    pub obstacle: Option<Obstacle>,
}

/// Why a block device is no disk to install on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A file system on it is mounted, or an array or volume group has it.
    InUse,
    /// It cannot be written.
    ReadOnly,
    /// It can be taken out, as a stick or a card; all right for whoever names it.
    Removable,
}

impl Disk {
    /// The device file.
    pub fn path(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// The name that is best written into a definition: one that stays the same, where the disk has one.
    fn best_name(&self) -> DiskName {
        let lasting = [("serial:", &self.serial), ("wwid:", &self.wwid)];
        let lasting = lasting.into_iter().filter_map(|(kind, text)| format!("{kind}{text}").parse().ok());
        lasting.into_iter().next().unwrap_or_else(|| DiskName::Kernel(self.name.clone()))
    }
}

/// Chooses the disk for an image of `image_size` bytes: the `wanted` one, or the only possible one.
///
/// # Errors
/// There is none, there are or may be several and none is wanted, or the one is too small or otherwise unsuitable.
pub fn choose<'a>(
    disks: &'a [Disk],
    undriven: &[Undriven],
    wanted: Option<&DiskName>,
    image_size: u64,
) -> Result<&'a Disk, Refused> {
    let disk = match wanted {
        Some(wanted) => named(disks, undriven, wanted)?,
        None => only(disks, undriven)?,
    };
    if disk.sector != SECTOR {
        return Err(Refused::Sector { name: disk.name.clone(), sector: disk.sector });
    }
    if disk.size < image_size {
        return Err(Refused::Small { disk: describe(disk), needed: image_size });
    }
    Ok(disk)
}

fn named<'a>(disks: &'a [Disk], undriven: &[Undriven], wanted: &DiskName) -> Result<&'a Disk, Refused> {
    let found: Vec<_> = disks.iter().filter(|disk| disk.is(wanted)).collect();
    let Some(disk) = found.first() else {
        let seen = seen(disks, undriven);
        return Err(Refused::Missing { wanted: wanted.clone(), seen });
    };
    // With one world-wide identifier they are ways to one medium, and each of them is as good.
    let same = |other: &&Disk| !disk.wwid.is_empty() && (other.wwid == disk.wwid && other.size == disk.size);
    if found.len() > 1 && !found.iter().all(same) {
        let found = found.into_iter().map(describe).collect::<Vec<_>>().join(", ");
        return Err(Refused::Ambiguous { wanted: wanted.clone(), found });
    }
    match disk.obstacle {
        None | Some(Obstacle::Removable) => Ok(disk),
        Some(Obstacle::InUse | Obstacle::ReadOnly) => Err(Refused::Unusable { disk: describe(disk) }),
    }
}

fn only<'a>(disks: &'a [Disk], undriven: &[Undriven]) -> Result<&'a Disk, Refused> {
    let mut possible = disks.iter().filter(|disk| disk.obstacle.is_none());
    match (possible.next(), possible.next()) {
        (None, _) => Err(Refused::None { seen: seen(disks, undriven) }),
        (Some(disk), Some(_)) => Err(Refused::Several { example: disk.best_name(), seen: seen(disks, undriven) }),
        (Some(disk), None) => {
            let hiding: Vec<_> =
                undriven.iter().filter(|one| one.kind == Kind::Storage).map(ToString::to_string).collect();
            if hiding.is_empty() {
                return Ok(disk);
            }
            let (disk, example) = (describe(disk), disk.best_name());
            Err(Refused::Hidden { disk, example, controllers: hiding.join(", ") })
        }
    }
}

/// All disks, for people, and the controllers that may hide more of them.
fn seen(disks: &[Disk], undriven: &[Undriven]) -> String {
    let mut text = match disks {
        [] => "no disk at all".to_owned(),
        _ => disks.iter().map(describe).collect::<Vec<_>>().join(", "),
    };
    let storage: Vec<_> = undriven.iter().filter(|one| one.kind != Kind::Network).map(ToString::to_string).collect();
    if !storage.is_empty() {
        text = format!("{text}; without a driver: {}", storage.join(", "));
    }
    text
}

fn describe(disk: &Disk) -> String {
    let mut words = vec![Size(disk.size).to_string()];
    if !disk.model.is_empty() {
        words.push(disk.model.clone());
    }
    match disk.best_name() {
        DiskName::Kernel(_) => {}
        name @ (DiskName::Id(_) | DiskName::Serial(_) | DiskName::Wwid(_)) => words.push(name.to_string()),
    }
    match disk.obstacle {
        None => {}
        Some(Obstacle::InUse) => words.push("in use".to_owned()),
        Some(Obstacle::ReadOnly) => words.push("read-only".to_owned()),
        Some(Obstacle::Removable) => words.push("removable".to_owned()),
    }
    format!("/dev/{} ({})", disk.name, words.join(", "))
}

/// A disk that nothing is installed on. What to do comes before the list of disks, which may be long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing here can be installed on.
    #[error(
        "there is no disk to install on: attach one, or take an image whose initrd has the driver for it; seen: {seen}"
    )]
    None {
        /// All disks with their sizes and obstacles.
        seen: String,
    },
    /// There are several, and choosing is not the installer's business.
    #[error(
        "there are several disks: name one in the machine's definition, such as `disk = \"{example}\"`; seen: {seen}"
    )]
    Several {
        /// The first of them.
        example: DiskName,
        /// All disks with their sizes and obstacles.
        seen: String,
    },
    /// There is one, and there may be others that nobody sees.
    #[error(
        "{disk} is the only disk seen, but others may be behind what has no driver: {controllers}; if it is the right one, \
         write `disk = \"{example}\"` into the machine's definition, if not, take an image whose initrd has the driver"
    )]
    Hidden {
        /// The disk with its size.
        disk: String,
        /// How to name it.
        example: DiskName,
        /// The controllers with their identifiers and places.
        controllers: String,
    },
    /// The one that is named is not there.
    #[error("no disk is `{wanted}`: correct `disk` in the machine's definition; seen: {seen}")]
    Missing {
        /// As the definition names it.
        wanted: DiskName,
        /// All disks with their sizes and obstacles.
        seen: String,
    },
    /// The name fits several.
    #[error(
        "several disks are `{wanted}`: name one by another name in the machine's definition, as `disk`; these are: {found}"
    )]
    Ambiguous {
        /// As the definition names it.
        wanted: DiskName,
        /// Those that it fits.
        found: String,
    },
    /// The one that is named cannot be written.
    #[error("the disk {disk} cannot be installed on: name another one in the machine's definition, as `disk`")]
    Unusable {
        /// The disk with its obstacle.
        disk: String,
    },
    /// It is smaller than the image.
    #[error(
        "the disk {disk} is too small, the image needs {needed} bytes ({}): name a larger one in the machine's definition, as `disk`, \
         or another image, as `distro`",
        Size(*needed)
    )]
    Small {
        /// The disk with its size.
        disk: String,
        /// The image's size in bytes.
        needed: u64,
    },
    /// Its sectors are not those that the image's partition table counts in.
    #[error(
        "the disk /dev/{name} has sectors of {sector} bytes, only 512 are supported: switch it to 512-byte emulation"
    )]
    Sector {
        /// The kernel's name.
        name: String,
        /// Bytes in a logical sector.
        sector: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_disk_is_taken() {
        let disks = [disk("sda", 10, Some(Obstacle::Removable)), disk("vda", 10, None)];

        assert_eq!(choose(&disks, &[], None, 10 * GIB), Ok(&disks[1]));
    }

    #[test]
    fn without_a_disk_it_says_what_it_saw() {
        let disks = [disk("sda", 4, Some(Obstacle::Removable)), disk("vdb", 1, Some(Obstacle::ReadOnly))];

        let error = |disks, undriven: &[_]| choose(disks, undriven, None, GIB).map_err(|error| error.to_string());

        assert_eq!(
            error(&disks, &[]),
            Err("there is no disk to install on: attach one, or take an image whose initrd has the driver for it; \
                 seen: /dev/sda (4 GiB, removable), /dev/vdb (1 GiB, read-only)"
                .to_owned())
        );
        assert!(error(&[], &[raid()]).is_err_and(|error| {
            error.ends_with("seen: no disk at all; without a driver: storage controller 1000:0097 at 0000:03:00.0")
        }));
    }

    #[test]
    fn between_two_disks_it_does_not_guess() {
        let disks = [
            Disk { model: "Fast".to_owned(), serial: "S4EW 1".to_owned(), ..disk("nvme0n1", 100, None) },
            Disk { wwid: "naa.5000c500".to_owned(), ..disk("sda", 2, None) },
            disk("vda", 3, None),
        ];

        assert_eq!(
            choose(&disks, &[], None, GIB).map_err(|error| error.to_string()),
            Err("there are several disks: name one in the machine's definition, such as `disk = \"serial:S4EW 1\"`; \
                 seen: /dev/nvme0n1 (100 GiB, Fast, serial:S4EW 1), /dev/sda (2 GiB, wwid:naa.5000c500), /dev/vda (3 GiB)"
                .to_owned())
        );
        assert_eq!(choose(&disks, &[], Some(&name("wwid:naa.5000c500")), GIB), Ok(&disks[1]));
    }

    #[test]
    fn the_only_disk_seen_is_not_taken_for_the_only_one_beside_a_controller_without_a_driver() {
        let disks = [disk("vda", 10, None)];

        assert_eq!(
            choose(&disks, &[raid()], None, GIB).map_err(|error| error.to_string()),
            Err("/dev/vda (10 GiB) is the only disk seen, but others may be behind what has no driver: \
                 storage controller 1000:0097 at 0000:03:00.0; if it is the right one, write `disk = \"/dev/vda\"` into the \
                 machine's definition, if not, take an image whose initrd has the driver"
                .to_owned())
        );
        assert_eq!(choose(&disks, &[raid()], Some(&name("/dev/vda")), GIB), Ok(&disks[0]));
        for harmless in [Kind::Network, Kind::EmulatedStorage] {
            assert_eq!(choose(&disks, &[Undriven { kind: harmless, ..raid() }], None, GIB), Ok(&disks[0]));
        }
    }

    #[test]
    fn a_named_disk_has_to_be_there_and_usable() {
        let disks =
            [disk("sda", 4, Some(Obstacle::Removable)), disk("sdb", 4, Some(Obstacle::InUse)), disk("vda", 4, None)];
        let choose = |text| choose(&disks, &[], Some(&name(text)), GIB);

        assert_eq!(choose("/dev/sda"), Ok(&disks[0]));
        assert!(matches!(choose("/dev/sdb"), Err(Refused::Unusable { .. })));
        assert_eq!(
            choose("serial:S1").map_err(|error| error.to_string()),
            Err("no disk is `serial:S1`: correct `disk` in the machine's definition; \
                 seen: /dev/sda (4 GiB, removable), /dev/sdb (4 GiB, in use), /dev/vda (4 GiB)"
                .to_owned())
        );
    }

    #[test]
    fn a_name_that_fits_two_disks_is_refused_unless_they_are_one() {
        let one = Disk { serial: "0001".to_owned(), wwid: "naa.1".to_owned(), ..disk("sda", 4, None) };
        let path = Disk { name: "sdb".to_owned(), ..one.clone() };
        let other = Disk { wwid: "naa.2".to_owned(), ..path.clone() };
        let wanted = name("serial:0001");

        assert_eq!(
            choose(&[one.clone(), path], &[], Some(&wanted), GIB).map(|disk| disk.name.clone()),
            Ok("sda".to_owned())
        );
        assert!(matches!(choose(&[one, other], &[], Some(&wanted), GIB), Err(Refused::Ambiguous { .. })));
    }

    #[test]
    fn a_disk_that_is_too_small_or_counts_otherwise_is_refused() {
        let mut disks = [disk("vda", 1, None)];
        assert_eq!(
            choose(&disks, &[], None, GIB + 1).map_err(|error| error.to_string()),
            Err("the disk /dev/vda (1 GiB) is too small, the image needs 1073741825 bytes (1 GiB): \
                 name a larger one in the machine's definition, as `disk`, or another image, as `distro`"
                .to_owned())
        );

        disks[0].sector = 4096;
        assert_eq!(choose(&disks, &[], None, 1), Err(Refused::Sector { name: "vda".to_owned(), sector: 4096 }));
    }

    const GIB: u64 = 1 << 30;

    fn name(text: &str) -> DiskName {
        text.parse().expect("the name of a disk")
    }

    fn raid() -> Undriven {
        Undriven { kind: Kind::Storage, id: "1000:0097".to_owned(), place: "0000:03:00.0".to_owned() }
    }

    fn disk(name: &str, size: u64, obstacle: Option<Obstacle>) -> Disk {
        let (model, serial, wwid) = (String::new(), String::new(), String::new());
        Disk { name: name.to_owned(), size: size * GIB, model, serial, wwid, sector: 512, obstacle }
    }
}
