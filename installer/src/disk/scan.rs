//! The kernel's list of disks (sysfs).

use std::fs;
use std::io;
use std::path::Path;

use super::{Disk, Obstacle};
use crate::partition::SECTOR;

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
            serial: serial(&folder),
            wwid: first(&folder, &["wwid", "device/wwid"]),
            sector: word(&folder, "queue/logical_block_size").parse().unwrap_or(SECTOR),
            obstacle,
        });
    }
    disks.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(disks)
}

/// Virtio has `serial` at the disk, NVMe and MMC at the device; SCSI and SATA have a page of vital product data instead.
fn serial(folder: &Path) -> String {
    let written = first(folder, &["serial", "device/serial"]);
    if !written.is_empty() {
        return written;
    }
    let page = fs::read(folder.join("device/vpd_pg80")).unwrap_or_default();
    // SPC-4 §7.8.17: four bytes of header, the last two of which are the length of what follows.
    let text = match page.split_first_chunk::<4>() {
        Some(([_, _, high, low], rest)) => &rest[..rest.len().min(usize::from(u16::from_be_bytes([*high, *low])))],
        None => &[],
    };
    String::from_utf8_lossy(text).trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned()
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

fn first(folder: &Path, files: &[&str]) -> String {
    files.iter().map(|file| word(folder, file)).find(|text| !text.is_empty()).unwrap_or_default()
}

fn word(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        put("vda/serial", "root\n");
        put("sda/size", "4194304\n");
        put("sda/removable", "1\n");
        put("sda/device/model", "Stick  \n");
        put("sda/device/wwid", "t10.Stick   1\n");
        put("sda/device/vpd_pg80", "\0\u{50}\0\u{8}  ZC12  trailing");
        put("sda/queue/logical_block_size", "4096\n");
        put("vdb/size", "2097152\n");
        put("vdb/device/vendor", "0x1af4\n");
        put("vdb/vdb1/dev", "254:17\n");
        put("nvme0n1/size", "2097152\n");
        put("nvme0n1/device/model", "Disk\n");
        put("nvme0n1/device/serial", "S4EW   \n");
        put("nvme0n1/wwid", "eui.0025\n");
        put("nvme0n1/holders/md0", "");

        let found = scan(sys.path(), "36 35 254:17 / /mnt rw - ext4 /dev/vdb1 rw\n").expect("the folder can be read");

        let array = Disk {
            model: "Disk".to_owned(),
            serial: "S4EW".to_owned(),
            wwid: "eui.0025".to_owned(),
            ..disk("nvme0n1", 1, Some(Obstacle::InUse))
        };
        let stick = Disk {
            model: "Stick".to_owned(),
            serial: "ZC12".to_owned(),
            wwid: "t10.Stick   1".to_owned(),
            sector: 4096,
            ..disk("sda", 2, Some(Obstacle::Removable))
        };
        let root = Disk { serial: "root".to_owned(), ..disk("vda", 1, None) };
        assert_eq!(found, [array, stick, root, disk("vdb", 1, Some(Obstacle::InUse))]);
    }

    #[test]
    fn a_page_that_ends_early_is_no_serial_number() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("device")).expect("a folder");
        for page in [&b""[..], b"\0\x80\0", b"\0\x80\0\x08"] {
            fs::write(folder.path().join("device/vpd_pg80"), page).expect("a file");

            assert_eq!(serial(folder.path()), "");
        }
    }

    fn disk(name: &str, size: u64, obstacle: Option<Obstacle>) -> Disk {
        let (model, serial, wwid) = (String::new(), String::new(), String::new());
        Disk { name: name.to_owned(), size: size << 30, model, serial, wwid, sector: 512, obstacle }
    }
}
