//! Disks and images that do not go together.

use std::path::Path;

use installer::rehearse::rehearse;
use lab_model::Phase;

use crate::image::{MIB, disk_image};
use crate::lab::{DISK, Lab, QUICK, is_unbootable};

#[test]
fn a_disk_smaller_than_the_image_is_not_touched() {
    let lab = Lab::new();

    let (outcome, disk) = lab.install(8 * MIB - 512);

    let failure = outcome.expect_err("too small");
    assert_eq!(
        failure.reason,
        "the disk is too small: it has 7.9 MiB, the image and its seed need 8388608 bytes (8 MiB); nothing was written"
    );
    assert!(disk == std::fs::read(lab.old_disk(8 * MIB - 512)).expect("the disk as it was"));
}

#[test]
fn a_rehearsal_writes_to_no_disk() {
    let lab = Lab::new();

    let failure = rehearse(&lab.server.url("/config"), Path::new("/dev/null"), QUICK).expect_err("a device");

    assert_eq!(failure.phase, Phase::Disk);
    assert_eq!(failure.reason, "/dev/null: expected a plain file, a rehearsal writes to no disk");
}

#[test]
fn a_disk_without_room_for_the_seed_is_not_touched() {
    let lab = Lab::new();
    let least = 9 * MIB + 33 * 512;

    let (refused, disk) = lab.install(least - 512);
    let (accepted, _) = lab.install(least);

    assert!(refused.expect_err("too small").reason.contains("the disk is too small"));
    assert!(disk == std::fs::read(lab.old_disk(least - 512)).expect("the disk as it was"));
    accepted.expect("just large enough");
}

#[test]
fn an_interrupted_installation_leaves_a_disk_of_the_images_size_unbootable() {
    // Here the image's own backup table would be at the disk's end.
    let mut raw = disk_image();
    raw.resize(10 * MIB, 0);
    let table = disk_image();
    let (end, backup) = (raw.len(), &table[table.len() - 33 * 512..]);
    raw[end - 33 * 512..].copy_from_slice(backup);
    let mut lab = Lab::with_image(raw);
    lab.config.disk_image.chunks[3].sha256 = crate::lab::digest(b"something else");

    let (outcome, disk) = lab.install(10 * MIB);

    assert_eq!(outcome.expect_err("the checksum is wrong").phase, Phase::Verify);
    assert!(is_unbootable(&disk));
}

/// What is thin beneath, such as a volume of a storage server, may be full before it is at its end.
#[test]
fn a_disk_that_takes_no_more_is_said_and_left_unbootable() {
    let lab = Lab::new();
    let mut old = vec![0; DISK];
    old[..MIB].copy_from_slice(&disk_image()[..MIB]);
    let disk = lab.disk_with(&old);

    let output = lab.install_on_thin_disk(&disk, "2m");

    assert!(!output.status.success(), "{output:?}");
    let last = lab.server.posts().pop().expect("a report");
    let report: lab_model::InstallerReport = serde_json::from_str(&last).expect("a report in JSON");
    let failure = report.failure.expect("it failed");
    assert_eq!(report.phase, Phase::Write, "{failure}");
    assert!(failure.starts_with("cannot write /mnt/disk at byte "), "{failure}");
    assert!(failure.contains("No space left on device"), "{failure}");
    assert!(is_unbootable(&std::fs::read(&disk).expect("the disk is still there")));
}

#[test]
fn an_image_without_a_partition_table_is_refused_before_the_disk_is_touched() {
    let lab = Lab::with_image(vec![1; 3 * MIB]);

    let (failure, disk) = lab.fail();

    assert_eq!(
        failure.reason,
        "the image has no usable GUID partition table: there is no `EFI PART` in its second sector; nothing was written"
    );
    assert!(disk == std::fs::read(lab.old_disk(DISK)).expect("the disk as it was"));
}

#[test]
fn an_image_for_large_sectors_is_named_as_such() {
    let mut raw = vec![0; 3 * MIB];
    raw[4096..4104].copy_from_slice(b"EFI PART");

    let (failure, _) = Lab::with_image(raw).fail();

    assert_eq!(
        failure.reason,
        "the image is made for sectors of 4096 bytes, only 512 are supported; nothing was written"
    );
}

#[test]
fn a_table_that_promises_millions_of_entries_costs_no_memory() {
    let mut raw = disk_image();
    raw[512 + 80..512 + 84].copy_from_slice(&u32::MAX.to_le_bytes());
    raw[512 + 16..512 + 20].fill(0);
    let checksum = crc32fast::hash(&raw[512..512 + 92]);
    raw[512 + 16..512 + 20].copy_from_slice(&checksum.to_le_bytes());

    let (failure, _) = Lab::with_image(raw).fail();

    assert!(failure.reason.contains("its partition entries are not in its first megabyte"), "{}", failure.reason);
}
