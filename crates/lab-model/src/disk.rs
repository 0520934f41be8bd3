//! How a definition names the disk that is written.

use std::fmt;
use std::str::FromStr;

/// A whole disk of the target, by a name of its kernel's or of its maker's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskName {
    /// `/dev/vda`: the kernel's name, here `vda`. Which of several disks is `sda` may change from one start to the next.
    Kernel(String),
    /// `/dev/disk/by-id/…`: udev's name, without the folder.
    Id(String),
    /// `serial:…`: what `lsblk -o SERIAL` shows.
    Serial(String),
    /// `wwid:…`: what `lsblk -o WWN` shows, or the kernel's own form of it, as `naa.5000c500a1b2c3d4`.
    Wwid(String),
}

impl fmt::Display for DiskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, name) = match self {
            Self::Kernel(name) => (DEVICES, name),
            Self::Id(name) => (IDS, name),
            Self::Serial(name) => (SERIAL, name),
            Self::Wwid(name) => (WWID, name),
        };
        write!(f, "{prefix}{name}")
    }
}

impl FromStr for DiskName {
    type Err = NotDiskName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || NotDiskName::Unknown(text.to_owned());
        let partition = |whole: String| NotDiskName::Partition { text: text.to_owned(), whole };
        if let Some(id) = text.strip_prefix(IDS) {
            if let Some((whole, number)) = id.rsplit_once("-part")
                && is_number(number)
            {
                return Err(partition(format!("{IDS}{whole}")));
            }
            return if is_label(id) && !id.contains('/') { Ok(Self::Id(id.to_owned())) } else { Err(unknown()) };
        }
        if let Some(name) = text.strip_prefix(DEVICES) {
            if let Some(whole) = whole_disk(name) {
                return Err(partition(format!("{DEVICES}{whole}")));
            }
            return if is_kernel_name(name) { Ok(Self::Kernel(name.to_owned())) } else { Err(unknown()) };
        }
        let (kind, label): (fn(String) -> Self, _) = match (text.strip_prefix(SERIAL), text.strip_prefix(WWID)) {
            (Some(serial), _) => (Self::Serial, serial.trim()),
            (None, Some(wwid)) => (Self::Wwid, wwid.trim()),
            (None, None) => return Err(unknown()),
        };
        if is_label(label) { Ok(kind(label.to_owned())) } else { Err(unknown()) }
    }
}

text_serde!(DiskName);

/// The text names no whole disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDiskName {
    /// It has none of the four forms.
    #[error(
        "`{0}` is not the name of a disk: expected a form such as `/dev/vda`, `/dev/disk/by-id/nvme-…`, `serial:…` or `wwid:…`"
    )]
    Unknown(String),
    /// It is a part of a disk.
    #[error("`{text}` is a partition: expected the whole disk, `{whole}`")]
    Partition {
        /// As written.
        text: String,
        /// The disk that it is a part of.
        whole: String,
    },
}

/// The disk that a partition is on, by the kernel's rule: a number, after a `p` where the disk's own name ends with a digit.
fn whole_disk(name: &str) -> Option<&str> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == name.len() {
        return None;
    }
    if let Some(whole) = stem.strip_suffix('p').filter(|whole| whole.ends_with(|c: char| c.is_ascii_digit())) {
        return Some(whole);
    }
    // These count their disks by letters, so that a digit is a partition's: nvme0n1 and mmcblk0 are whole disks.
    let lettered = ["sd", "vd", "hd", "xvd"].iter().filter_map(|kind| stem.strip_prefix(kind));
    lettered
        .into_iter()
        .any(|letters| !letters.is_empty() && letters.bytes().all(|b| b.is_ascii_lowercase()))
        .then_some(stem)
}

/// A name as drivers form it; the kernel's own limit is 31 bytes.
fn is_kernel_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    plain && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= 31
}

/// What makers print on disks: ASCII with spaces inside, at most 255 bytes.
fn is_label(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    plain && text.trim() == text && (1..=255).contains(&text.len())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

const DEVICES: &str = "/dev/";
const IDS: &str = "/dev/disk/by-id/";
const SERIAL: &str = "serial:";
const WWID: &str = "wwid:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_four_kinds_of_names() {
        let name = |text: &str| text.parse::<DiskName>();

        assert_eq!(name("/dev/nvme0n1"), Ok(DiskName::Kernel("nvme0n1".to_owned())));
        assert_eq!(name("/dev/disk/by-id/wwn-0x5000c5"), Ok(DiskName::Id("wwn-0x5000c5".to_owned())));
        assert_eq!(name("serial:WD-WX1 2"), Ok(DiskName::Serial("WD-WX1 2".to_owned())));
        assert_eq!(name("wwid: naa.5000c5"), Ok(DiskName::Wwid("naa.5000c5".to_owned())));
    }

    #[test]
    fn a_name_is_written_as_it_is_read() {
        for text in ["/dev/mmcblk0", "/dev/disk/by-id/ata-X_1", "serial:0123", "wwid:eui.0025385b71b0a1b2"] {
            assert_eq!(text.parse::<DiskName>().map(|name| name.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn refuses_a_partition_and_names_its_disk() {
        for (text, whole) in [
            ("/dev/vda1", "/dev/vda"),
            ("/dev/sdaa12", "/dev/sdaa"),
            ("/dev/xvda2", "/dev/xvda"),
            ("/dev/nvme0n1p2", "/dev/nvme0n1"),
            ("/dev/mmcblk0p1", "/dev/mmcblk0"),
            ("/dev/disk/by-id/nvme-Disk_1-part3", "/dev/disk/by-id/nvme-Disk_1"),
        ] {
            assert_eq!(
                text.parse::<DiskName>().map_err(|error| error.to_string()),
                Err(format!("`{text}` is a partition: expected the whole disk, `{whole}`"))
            );
        }
    }

    #[test]
    fn refuses_what_names_no_disk() {
        for text in [
            "/dev/",
            "/dev/../etc",
            "/dev/disk/by-path/pci-0",
            "/dev/disk/by-id/",
            "/dev/disk/by-id/a/b",
            "/etc/passwd",
            "/dev/Disk",
            "vda",
            "serial:",
            "wwid: ",
            "serial:a\nb",
            "serial:é",
            "",
        ] {
            assert_eq!(text.parse::<DiskName>(), Err(NotDiskName::Unknown(text.to_owned())), "{text:?}");
        }
    }
}
