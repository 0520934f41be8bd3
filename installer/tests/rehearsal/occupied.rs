//! Disks that are not blank: somebody else's, this machine's own, and those of an installation that was not finished.

use std::io::Cursor;

use gptman::GPT;
use lab_model::{MacAddr, Phase};

use crate::image::{MIB, compress, disk_image};
use crate::lab::{DISK, Lab, QUICK, digest};
use crate::server::{File, Mishap};

#[test]
fn somebody_elses_system_is_left_alone_until_the_definition_says_otherwise() {
    let mut lab = Lab::new();
    lab.config.wipe = false;

    let (failure, disk) = lab.fail();

    let old = lab.old_disk(DISK);
    assert_eq!(failure.phase, Phase::Disk);
    assert_eq!(
        failure.reason,
        format!(
            "{} is not web's own, it has a GUID partition table with 2 partitions, such as part, part: write `wipe = true` into \
             the machine's definition if all of it may be lost, or name another disk there, as `disk`; nothing was written",
            old.display()
        )
    );
    assert!(disk == std::fs::read(old).expect("the disk as it was"));
}

#[test]
fn data_without_a_partition_table_is_left_alone_too() {
    let mut lab = Lab::new();
    lab.config.wipe = false;
    let mut content = vec![0; DISK];
    content[1080..1082].copy_from_slice(b"\x53\xef");
    let disk = lab.disk_with(&content);

    let (outcome, after) = lab.install_on(&disk, QUICK);

    let reason = outcome.expect_err("a file system").reason;
    assert!(reason.contains("it has an ext2, ext3 or ext4 file system"), "{reason}");
    assert!(after == content);
}

#[test]
fn a_blank_disk_is_taken() {
    let mut lab = Lab::new();
    lab.config.wipe = false;
    let disk = lab.disk_with(&vec![0; DISK]);

    let (outcome, after) = lab.install_on(&disk, QUICK);

    outcome.expect("nobody's disk");
    assert_eq!(after[MIB..7 * MIB], lab.raw[MIB..7 * MIB]);
}

#[test]
fn a_machines_own_disk_is_installed_again_and_another_machines_is_not() {
    let mut lab = Lab::new();
    let disk = lab.old_disk(DISK);
    lab.install_on(&disk, QUICK).0.expect("told to wipe it");
    lab.config.wipe = false;

    lab.install_on(&disk, QUICK).0.expect("its own");
    lab.config.mac = MacAddr::new([0x52, 0x54, 0, 0, 0, 2]);
    let (outcome, after) = lab.install_on(&disk, QUICK);

    let reason = outcome.expect_err("another machine's").reason;
    assert!(reason.contains("it has a GUID partition table with 3 partitions"), "{reason}");
    GPT::read_from(&mut Cursor::new(&after), 512).expect("the table is still there");
}

#[test]
fn the_next_attempt_goes_on_where_the_last_one_failed() {
    let mut lab = Lab::new();
    lab.config.wipe = false;
    let disk = lab.disk_with(&vec![0; DISK]);
    let gone = [THROUGH, THROUGH, THROUGH, Mishap::Status(404, "gone")];
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with(gone));

    lab.install_on(&disk, QUICK).0.expect_err("the image is gone");
    let before = lab.ranges().len();
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()));
    let (outcome, after) = lab.install_on(&disk, QUICK);

    outcome.expect("the image is back");
    assert_eq!(after[MIB..7 * MIB], lab.raw[MIB..7 * MIB]);
    // The first chunk always, and of the five others those that were not there.
    assert!((2..=4).contains(&(lab.ranges().len() - before)), "{:?}", lab.ranges());
    let reports = lab.server.posts();
    assert!(reports.iter().any(|report| report.contains("going on, ") && report.contains(" of 8 MiB were there")));
    let in_one_go = lab.install_on(&lab.disk_with(&vec![0; DISK]), QUICK).1;
    assert!(after == in_one_go);
}

#[test]
fn another_image_starts_from_nothing() {
    let mut lab = Lab::new();
    lab.config.wipe = false;
    let disk = lab.disk_with(&vec![0; DISK]);
    lab.config.disk_image.chunks[7].sha256 = digest(b"something else");
    lab.install_on(&disk, QUICK).0.expect_err("the last chunk is damaged");

    let mut raw = disk_image();
    raw[3 * MIB] ^= 1;
    let (compressed, chunks) = compress(&raw);
    lab.config.disk_image.size = compressed.len() as u64;
    lab.config.disk_image.chunks = chunks;
    lab.server.put("/disk.zst", File::new(compressed));
    let (outcome, after) = lab.install_on(&disk, QUICK);

    outcome.expect("an unfinished installation is nobody's data");
    assert_eq!(after[MIB..7 * MIB], raw[MIB..7 * MIB]);
    assert!(!lab.server.posts().iter().any(|report| report.contains("going on")));
}

/// An answer that is whole; the connection ends with it.
const THROUGH: Mishap = Mishap::BreakAfter(usize::MAX);
