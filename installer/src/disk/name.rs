//! Whether a disk is the one that a definition names.
//!
//! udev, which makes `/dev/disk/by-id/`, does not run here. Its names are made of a bus, and of a serial number or a
//! world-wide identifier that the kernel shows too: those are compared, and a name that is made of anything else fits no disk.

use lab_model::DiskName;

use super::Disk;

impl Disk {
    /// Whether this is what `name` names; an empty serial number or identifier is nobody's.
    pub(super) fn is(&self, name: &DiskName) -> bool {
        match name {
            DiskName::Kernel(name) => self.name == *name,
            DiskName::Serial(serial) => self.has_serial(serial),
            DiskName::Wwid(wwid) => self.has_wwid(wwid),
            DiskName::Id(id) => id.split_once('-').is_some_and(|(bus, id)| self.has_id(bus, id)),
        }
    }

    fn has_serial(&self, serial: &str) -> bool {
        !self.serial.is_empty() && plain(&self.serial) == plain(serial)
    }

    fn has_wwid(&self, wwid: &str) -> bool {
        !self.wwid.is_empty() && canonical(&self.wwid) == canonical(wwid)
    }

    /// `id` is what follows `bus-` in udev's name (60-persistent-storage.rules).
    fn has_id(&self, bus: &str, id: &str) -> bool {
        match bus {
            "wwn" => self.has_wwid(id),
            "virtio" => self.has_serial(id),
            "nvme" => self.has_wwid(id) || self.has_model_and_serial(id),
            "scsi" => self.has_scsi_id(id) || self.ends_with_serial(id),
            // `usb-Maker_Stick_0123-0:0`: unit and logical unit come last.
            "usb" => self.ends_with_serial(id.rsplit_once('-').map_or(id, |(id, _)| id)),
            // Makers' names of disks are longer than what the kernel shows of them, so only the end can be compared.
            "ata" | "mmc" | "ieee1394" => self.ends_with_serial(id),
            _ => false,
        }
    }

    /// The type of a designator is the first digit (scsi_id(8)): 3 is NAA, 2 EUI-64, 1 a vendor's own text.
    fn has_scsi_id(&self, id: &str) -> bool {
        [("3", "naa."), ("2", "eui."), ("1", "t10.")]
            .iter()
            .any(|(digit, kind)| id.strip_prefix(digit).is_some_and(|rest| self.has_wwid(&format!("{kind}{rest}"))))
    }

    /// `Maker_Disk_SERIAL`, or with the number of its namespace, `Maker_Disk_SERIAL_1`.
    fn has_model_and_serial(&self, id: &str) -> bool {
        if self.serial.is_empty() {
            return false;
        }
        let own = format!("{}_{}", plain(&self.model), plain(&self.serial));
        match id.strip_prefix(&own) {
            Some("") => true,
            Some(rest) => rest.strip_prefix('_').is_some_and(|number| number.parse::<u32>().is_ok()),
            None => false,
        }
    }

    fn ends_with_serial(&self, id: &str) -> bool {
        let serial = plain(&self.serial);
        serial.len() >= LEAST_SERIAL && id.strip_suffix(&serial).is_some_and(|before| before.ends_with('_'))
    }
}

/// Text as udev writes it into a name: trimmed, every run of spaces and every odd character an underscore.
fn plain(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join("_").replace(|c: char| !c.is_ascii_alphanumeric() && !"#+-.:=@_".contains(c), "_")
}

/// One form for `naa.5000C5`, the `0x5000c5` of lsblk and udev, and what spaces were replaced in.
fn canonical(wwid: &str) -> String {
    let plain = plain(wwid).to_ascii_lowercase();
    plain.strip_prefix("0x").map_or(plain.clone(), |digits| format!("naa.{digits}"))
}

/// A shorter serial number would fit the end of other disks' names.
const LEAST_SERIAL: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_compared_without_regard_to_spaces() {
        let disk = disk("Disk", "  WD-WX  12 ", "");

        assert!(is(&disk, "serial:WD-WX  12"));
        assert!(is(&disk, "serial:WD-WX_12"));
        assert!(!is(&disk, "serial:wd-wx 12"));
        assert!(!is(&disk, "serial:WD-WX"));
    }

    #[test]
    fn an_identifier_has_more_than_one_spelling() {
        let disk = disk("", "", "naa.5000c500a1b2c3d4");

        for name in ["wwid:naa.5000c500a1b2c3d4", "wwid:0x5000C500A1B2C3D4"] {
            assert!(is(&disk, name), "{name}");
        }
        assert!(!is(&disk, "wwid:5000c500a1b2c3d4"));
    }

    #[test]
    fn the_names_of_udev_fit_their_disks() {
        let virtio = disk("", "root-disk", "");
        let nvme = disk("Samsung SSD 970 EVO Plus 1TB", "S4EWNX0N123456", "eui.0025385b71b0a1b2");
        let sata = disk("ST4000NM0035-1V4", "ZC12ABCD", "naa.5000c500a1b2c3d4");
        let old = disk("QEMU HARDDISK", "QM00001", "t10.ATA     QEMU HARDDISK                           QM00001");
        let usb = disk("Ultra", "4C530001", "");
        for (disk, ids) in [
            (&virtio, &["virtio-root-disk"][..]),
            (
                &nvme,
                &[
                    "nvme-Samsung_SSD_970_EVO_Plus_1TB_S4EWNX0N123456",
                    "nvme-Samsung_SSD_970_EVO_Plus_1TB_S4EWNX0N123456_1",
                    "nvme-eui.0025385b71b0a1b2",
                ],
            ),
            (
                &sata,
                &[
                    "ata-ST4000NM0035-1V4107_ZC12ABCD",
                    "scsi-35000c500a1b2c3d4",
                    "scsi-SATA_ST4000NM0035-1V4_ZC12ABCD",
                    "wwn-0x5000c500a1b2c3d4",
                ],
            ),
            (&old, &["ata-QEMU_HARDDISK_QM00001", "scsi-1ATA_QEMU_HARDDISK_QM00001"]),
            (&usb, &["usb-SanDisk_Ultra_4C530001-0:0"]),
        ] {
            for id in ids {
                for candidate in [&virtio, &nvme, &sata, &old, &usb] {
                    assert_eq!(is(candidate, &format!("/dev/disk/by-id/{id}")), candidate == disk, "{id}");
                }
            }
        }
    }

    #[test]
    fn what_a_disk_does_not_say_fits_nothing() {
        let mute = disk("", "", "");
        let terse = disk("Disk", "1", "");

        for id in ["virtio-", "nvme-_", "nvme-", "wwn-0x", "scsi-3", "ata-Disk_", "dm-name-root"] {
            assert!(!is_id(&mute, id), "{id}");
        }
        assert!(!is_id(&terse, "nvme-Disk_S123_1"));
        assert!(!is_id(&terse, "ata-Other_1"));
        assert!(is_id(&terse, "nvme-Disk_1_1"));
    }

    fn is(disk: &Disk, name: &str) -> bool {
        disk.is(&name.parse().expect("the name of a disk"))
    }

    fn is_id(disk: &Disk, id: &str) -> bool {
        disk.is(&DiskName::Id(id.to_owned()))
    }

    fn disk(model: &str, serial: &str, wwid: &str) -> Disk {
        let [model, serial, wwid] = [model, serial, wwid].map(str::to_owned);
        Disk { name: "sda".to_owned(), size: 1 << 30, model, serial, wwid, sector: 512, obstacle: None }
    }
}
