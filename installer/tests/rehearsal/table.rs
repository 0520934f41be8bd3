//! What is on the disk in the end, byte for byte.

use std::io::Cursor;

use gptman::{GPT, GPTPartitionEntry};

use crate::image::{self, MIB};
use crate::lab::{DISK, Lab};

#[test]
fn the_disk_is_the_image_with_its_table_fitted_and_the_seed_at_its_end() {
    let lab = Lab::new();

    let (outcome, disk) = lab.install(DISK);

    outcome.expect("nothing goes wrong");
    let found = GPT::read_from(&mut Cursor::new(&disk), 512).expect("a valid primary table");
    assert_eq!(found.header.backup_lba, DISK as u64 / 512 - 1);
    let seed = &found[2];
    assert_eq!(
        (seed.partition_name.as_str(), seed.starting_lba, seed.ending_lba),
        ("cidata", 19 * 2048, 20 * 2048 - 1)
    );
    let expected = expected_disk(&lab, seed);
    let wrong = disk.iter().zip(&expected).position(|(found, expected)| found != expected);
    assert_eq!((disk.len(), wrong), (DISK, None));
}

#[test]
fn the_backup_table_is_valid_alone() {
    let lab = Lab::new();

    let (outcome, mut disk) = lab.install(DISK);

    outcome.expect("nothing goes wrong");
    let primary = GPT::read_from(&mut Cursor::new(&disk), 512).expect("a valid primary table");
    disk[..MIB].fill(0);
    let backup = GPT::read_from(&mut Cursor::new(&disk), 512).expect("a valid backup table");
    assert!(backup.is_backup());
    assert!(primary.iter().eq(backup.iter()));
}

#[test]
fn the_protective_mbr_spans_the_disk_and_keeps_the_boot_code() {
    let lab = Lab::new();

    let (outcome, disk) = lab.install(DISK);

    outcome.expect("nothing goes wrong");
    assert_eq!(disk[..440], lab.raw[..440]);
    assert_eq!(disk[450], 0xee);
    assert_eq!(disk[458..462], (DISK as u32 / 512 - 1).to_le_bytes());
    assert_eq!(disk[510..512], [0x55, 0xaa]);
}

#[test]
fn the_same_seed_gives_the_same_partition_and_another_seed_another_one() {
    let mut lab = Lab::new();
    let guid = |disk: Vec<u8>| {
        let gpt = GPT::read_from(&mut Cursor::new(&disk), 512).expect("a valid table");
        gpt[2].unique_partition_guid
    };

    let (first, second) = (guid(lab.install(DISK).1), guid(lab.install(DISK).1));
    lab.config.seed.sha256 = {
        let mut seed = image::seed();
        seed[50_000] = 1;
        let digest = crate::lab::digest(&seed);
        lab.server.put("/seed.iso", crate::server::File::new(seed));
        digest
    };
    let third = guid(lab.install(DISK).1);

    assert_eq!(first, second);
    assert_ne!(first, third);
}

/// The old disk's noise, overlaid with what an installation should write, independently of how it does it.
fn expected_disk(lab: &Lab, seed: &GPTPartitionEntry) -> Vec<u8> {
    let mut expected = std::fs::read(lab.old_disk(DISK)).expect("the disk as it was");
    let image_end = 7 * MIB + 300 * 512;
    expected[..lab.raw.len()].fill(0);
    expected[..image_end].copy_from_slice(&lab.raw[..image_end]);
    expected[19 * MIB..].fill(0);
    expected[19 * MIB..19 * MIB + lab.seed.len()].copy_from_slice(&lab.seed);

    let mut gpt = GPT::read_from(&mut Cursor::new(&lab.raw), 512).expect("the image has a table");
    gpt.header.update_from(&mut Cursor::new(&expected), 512).expect("the disk has room");
    gpt[2] = seed.clone();
    gpt.write_into(&mut Cursor::new(&mut expected)).expect("the disk has room");
    GPT::write_protective_mbr_into(&mut Cursor::new(&mut expected), 512).expect("the disk has room");
    expected
}
