//! Which disk is written.
//!
//! The one that the definition names, or the only one there is: the installer never guesses between two.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::partition::SECTOR;
use crate::size::Size;

/// A block device as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's name, such as `vda`.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
    /// What it calls itself; empty where it does not say.
    pub model: String,
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
}

/// Chooses the disk for an image of `image_size` bytes: `wanted`, as `/dev/…`, or the only possible one.
///
/// # Errors
/// There is none, there are several and none is wanted, or the one is too small or otherwise unsuitable.
pub fn choose<'a>(disks: &'a [Disk], wanted: Option<&str>, image_size: u64) -> Result<&'a Disk, Refused> {
    let disk = match wanted {
        Some(wanted) => named(disks, wanted)?,
        None => only(disks)?,
    };
    if disk.sector != SECTOR {
        return Err(Refused::Sector { name: disk.name.clone(), sector: disk.sector });
    }
    if disk.size < image_size {
        return Err(Refused::Small { disk: describe(disk), needed: image_size });
    }
    Ok(disk)
}

fn named<'a>(disks: &'a [Disk], wanted: &str) -> Result<&'a Disk, Refused> {
    let name = wanted.strip_prefix("/dev/").unwrap_or(wanted);
    let Some(disk) = disks.iter().find(|disk| disk.name == name) else {
        return Err(Refused::Missing { wanted: wanted.to_owned(), seen: list(disks) });
    };
    match disk.obstacle {
        None | Some(Obstacle::Removable) => Ok(disk),
        Some(Obstacle::InUse | Obstacle::ReadOnly) => Err(Refused::Unusable { disk: describe(disk) }),
    }
}

fn only(disks: &[Disk]) -> Result<&Disk, Refused> {
    let mut possible = disks.iter().filter(|disk| disk.obstacle.is_none());
    match (possible.next(), possible.next()) {
        (Some(disk), None) => Ok(disk),
        (None, _) => Err(Refused::None { seen: list(disks) }),
        (Some(_), Some(_)) => Err(Refused::Several { seen: list(disks) }),
    }
}

/// Waits until there is a disk to choose from, at most half a minute, and no more disks appear; lists them all.
///
/// # Errors
/// The kernel's list cannot be read.
pub fn wait() -> io::Result<Vec<Disk>> {
    let deadline = Instant::now() + PATIENCE;
    let mut before = Vec::new();
    loop {
        let disks = scan(Path::new("/sys"), &fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())?;
        // A controller finds its disks after its driver is loaded, and tells nobody that it is done: the first disk must
        // not be taken for the only one.
        let settled = disks == before && disks.iter().any(|disk| disk.obstacle.is_none());
        if settled || Instant::now() > deadline {
            return Ok(disks);
        }
        before = disks;
        thread::sleep(QUIET);
    }
}

/// Lists the disks under `sys`, without what is no medium of its own: loop devices, RAM disks, arrays, optical drives, empty slots.
///
/// # Errors
/// The kernel's list cannot be read.
pub fn scan(sys: &Path, mountinfo: &str) -> io::Result<Vec<Disk>> {
    let mut disks = Vec::new();
    for entry in fs::read_dir(sys.join("block"))? {
        let folder = entry?.path();
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else { continue };
        let optical_or_floppy = name.starts_with("sr") || name.starts_with("fd");
        // Only what has a bus behind it has `device`; one path of a multipath NVMe device is `hidden`.
        if !folder.join("device").exists() || optical_or_floppy || word(&folder, "hidden") == "1" {
            continue;
        }
        // Always in units of 512 bytes, whatever the sectors are.
        let size = word(&folder, "size").parse::<u64>().unwrap_or(0) * 512;
        if size == 0 {
            continue;
        }
        let obstacle = match () {
            () if in_use(&folder, name, mountinfo) => Some(Obstacle::InUse),
            () if word(&folder, "ro") == "1" => Some(Obstacle::ReadOnly),
            () if word(&folder, "removable") == "1" => Some(Obstacle::Removable),
            () => None,
        };
        disks.push(Disk {
            name: name.to_owned(),
            size,
            model: word(&folder, "device/model"),
            sector: word(&folder, "queue/logical_block_size").parse().unwrap_or(SECTOR),
            obstacle,
        });
    }
    disks.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(disks)
}

/// Whether the disk or one of its partitions is mounted, or held by an array or volume group.
fn in_use(folder: &Path, name: &str, mountinfo: &str) -> bool {
    let partitions = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let partitions = partitions
        .filter(|path| path.file_name().and_then(|file| file.to_str()).is_some_and(|file| file.starts_with(name)));
    partitions.chain([folder.to_owned()]).any(|part| {
        let number = word(&part, "dev");
        let held = fs::read_dir(part.join("holders")).is_ok_and(|mut holders| holders.next().is_some());
        // proc(5): the third field is `major:minor`.
        held || mountinfo.lines().any(|line| line.split(' ').nth(2).is_some_and(|field| field == number))
    })
}

fn word(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).unwrap_or_default().trim().to_owned()
}

fn list(disks: &[Disk]) -> String {
    match disks {
        [] => "no disk at all".to_owned(),
        _ => disks.iter().map(describe).collect::<Vec<_>>().join(", "),
    }
}

fn describe(disk: &Disk) -> String {
    let model = if disk.model.is_empty() { String::new() } else { format!(" {}", disk.model) };
    let obstacle = match disk.obstacle {
        None => "",
        Some(Obstacle::InUse) => ", in use",
        Some(Obstacle::ReadOnly) => ", read-only",
        Some(Obstacle::Removable) => ", removable",
    };
    format!("/dev/{} ({}{model}{obstacle})", disk.name, Size(disk.size))
}

/// A disk that nothing is installed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing here can be installed on.
    #[error(
        "there is no disk to install on; seen: {seen}; attach one, or check that the image's initrd has its driver"
    )]
    None {
        /// All disks with their sizes and obstacles.
        seen: String,
    },
    /// There are several, and choosing is not the installer's business.
    #[error("there are several disks: {seen}; name one in the machine's definition, as `disk`")]
    Several {
        /// All disks with their sizes and obstacles.
        seen: String,
    },
    /// The one that is named is not there.
    #[error("expected the disk {wanted}; seen: {seen}; correct `disk` in the machine's definition")]
    Missing {
        /// As the definition names it.
        wanted: String,
        /// All disks with their sizes and obstacles.
        seen: String,
    },
    /// The one that is named cannot be written.
    #[error("the disk {disk} cannot be installed on; name another one in the machine's definition, as `disk`")]
    Unusable {
        /// The disk with its obstacle.
        disk: String,
    },
    /// It is smaller than the image.
    #[error("the disk {disk} is too small: the image needs {needed} bytes ({})", Size(*needed))]
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

/// How long a controller may take to find a disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the list of disks has to stay the same.
const QUIET: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_disk_is_taken() {
        let disks = [disk("sda", 10, Some(Obstacle::Removable)), disk("vda", 10, None)];

        assert_eq!(choose(&disks, None, 10 * GIB), Ok(&disks[1]));
    }

    #[test]
    fn without_a_disk_it_says_what_it_saw() {
        let disks = [disk("sda", 4, Some(Obstacle::Removable)), disk("vdb", 1, Some(Obstacle::ReadOnly))];

        let error = |disks| choose(disks, None, GIB).map_err(|error| error.to_string());

        assert_eq!(
            error(&disks),
            Err("there is no disk to install on; seen: /dev/sda (4 GiB, removable), /dev/vdb (1 GiB, read-only); \
                 attach one, or check that the image's initrd has its driver"
                .to_owned())
        );
        assert!(error(&[]).is_err_and(|error| error.contains("seen: no disk at all")));
    }

    #[test]
    fn between_two_disks_it_does_not_guess() {
        let disks = [disk("nvme0n1", 100, None), disk("sda", 2, None)];

        assert_eq!(
            choose(&disks, None, GIB).map_err(|error| error.to_string()),
            Err("there are several disks: /dev/nvme0n1 (100 GiB), /dev/sda (2 GiB); \
                 name one in the machine's definition, as `disk`"
                .to_owned())
        );
        assert_eq!(choose(&disks, Some("/dev/sda"), GIB), Ok(&disks[1]));
    }

    #[test]
    fn a_named_disk_has_to_be_there_and_usable() {
        let disks =
            [disk("sda", 4, Some(Obstacle::Removable)), disk("sdb", 4, Some(Obstacle::InUse)), disk("vda", 4, None)];

        assert_eq!(choose(&disks, Some("/dev/sda"), GIB), Ok(&disks[0]));
        assert!(matches!(choose(&disks, Some("/dev/sdb"), GIB), Err(Refused::Unusable { .. })));
        assert!(matches!(choose(&disks, Some("/dev/sdc"), GIB), Err(Refused::Missing { .. })));
    }

    #[test]
    fn a_disk_that_is_too_small_or_counts_otherwise_is_refused() {
        let mut disks = [disk("vda", 1, None)];
        assert_eq!(
            choose(&disks, None, GIB + 1).map_err(|error| error.to_string()),
            Err("the disk /dev/vda (1 GiB) is too small: the image needs 1073741825 bytes (1 GiB)".to_owned())
        );

        disks[0].sector = 4096;
        assert_eq!(choose(&disks, None, 1), Err(Refused::Sector { name: "vda".to_owned(), sector: 4096 }));
    }

    #[test]
    fn the_kernels_list_is_read_without_what_is_no_disk() {
        let sys = tempfile::tempdir().expect("a folder");
        let put = |path: &str, text: &str| {
            let path = sys.path().join("block").join(path);
            fs::create_dir_all(path.parent().expect("below block")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        put("loop0/size", "2048\n");
        put("sr0/size", "2048\n");
        put("sr0/device/type", "5\n");
        put("sdb/size", "0\n");
        put("sdb/device/model", "card reader\n");
        put("vda/size", "2097152\n");
        put("vda/dev", "254:0\n");
        put("vda/device/vendor", "0x1af4\n");
        put("sda/size", "4194304\n");
        put("sda/removable", "1\n");
        put("sda/device/model", "Stick  \n");
        put("sda/queue/logical_block_size", "4096\n");
        put("vdb/size", "2097152\n");
        put("vdb/device/vendor", "0x1af4\n");
        put("vdb/vdb1/dev", "254:17\n");
        put("nvme0n1/size", "2097152\n");
        put("nvme0n1/device/model", "Disk\n");
        put("nvme0n1/holders/md0", "");

        let found = scan(sys.path(), "36 35 254:17 / /mnt rw - ext4 /dev/vdb1 rw\n").expect("the folder can be read");

        let stick = Disk { model: "Stick".to_owned(), sector: 4096, ..disk("sda", 2, Some(Obstacle::Removable)) };
        let array = Disk { model: "Disk".to_owned(), ..disk("nvme0n1", 1, Some(Obstacle::InUse)) };
        assert_eq!(found, [array, stick, disk("vda", 1, None), disk("vdb", 1, Some(Obstacle::InUse))]);
    }

    const GIB: u64 = 1 << 30;

    fn disk(name: &str, size: u64, obstacle: Option<Obstacle>) -> Disk {
        Disk { name: name.to_owned(), size: size * GIB, model: String::new(), sector: 512, obstacle }
    }
}
