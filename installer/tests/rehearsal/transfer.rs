//! Networks and servers that misbehave.

use std::time::Duration;

use installer::Patience;
use lab_model::Phase;

use crate::image::{MIB, seed};
use crate::lab::{DISK, Lab, QUICK, digest, is_unbootable};
use crate::server::{File, Mishap};

#[test]
fn every_chunk_is_fetched_once_and_zeros_are_not() {
    let lab = Lab::new();

    let (outcome, _) = lab.install(DISK);

    outcome.expect("nothing goes wrong");
    let frames: Vec<_> = lab.frames().into_iter().map(|frame| format!("{}-{}", frame.start, frame.end - 1)).collect();
    assert_eq!((lab.ranges(), frames.len()), (frames, 6));
    assert!(lab.server.connections() <= 8, "{} connections", lab.server.connections());
}

#[test]
fn no_byte_of_the_image_travels_twice() {
    let lab = Lab::new();
    let breaks = [10, 0, 1, 70_000, 3, 500_000].map(Mishap::BreakAfter);
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with(breaks));

    let (outcome, disk) = lab.install(DISK);

    outcome.expect("every break is followed by another connection");
    assert_eq!(disk[MIB..7 * MIB], lab.raw[MIB..7 * MIB]);
    let config = serde_json::to_vec(&lab.config).expect("a configuration has a JSON form").len();
    let frames: u64 = lab.frames().iter().map(|frame| frame.end - frame.start).sum();
    assert_eq!(lab.server.sent(), frames as usize + lab.seed.len() + config);
}

#[test]
fn a_server_that_restarts_in_mid_install_is_waited_for() {
    let lab = Lab::new();
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with([THROUGH, Mishap::RestartAfter(50_000, 3)]));

    let (outcome, disk) = lab.install(DISK);

    outcome.expect("the server comes back");
    assert_eq!(disk[MIB..7 * MIB], lab.raw[MIB..7 * MIB]);
}

#[test]
fn a_connection_that_falls_silent_is_replaced() {
    let lab = Lab::new();
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with([Mishap::SilenceAfter(40)]));

    let (outcome, disk) = lab.install_patiently(DISK, Patience { silence: Duration::from_secs(8), ..QUICK });

    outcome.expect("another connection carries the rest");
    assert_eq!(disk[MIB..7 * MIB], lab.raw[MIB..7 * MIB]);
    assert!(lab.ranges()[1].starts_with("40-"), "{:?}", lab.ranges());
}

#[test]
fn a_server_that_stays_away_ends_the_installation_with_an_unbootable_disk() {
    let lab = Lab::new();
    let away = [THROUGH, THROUGH, Mishap::RestartAfter(100, u32::MAX)];
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with(away));

    let (failure, disk) = lab.fail();

    assert_eq!(failure.phase, Phase::Write);
    assert!(failure.reason.contains("gave up after 6 tries"), "{}", failure.reason);
    assert!(is_unbootable(&disk));
}

#[test]
fn connections_that_carry_almost_nothing_do_not_go_on_for_ever() {
    let lab = Lab::new();
    let drops = std::iter::repeat_n(Mishap::BreakAfter(10), 100);
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with(drops));

    let (failure, _) = lab.fail();

    assert!(failure.reason.contains("gave up after 6 tries"), "{}", failure.reason);
}

#[test]
fn an_image_that_changes_during_the_download_is_not_mixed() {
    let lab = Lab::new();
    let mut other = File::new(vec![1; lab.compressed.len()]);
    other.entity_tag = Some("\"two\"");
    for through in [0, 2] {
        let change = Mishap::BecomeAfter(60, Box::new(other.clone()));
        let mishaps = std::iter::repeat_n(THROUGH, through).chain([change]);
        lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with(mishaps));

        let (failure, disk) = lab.fail();

        let expected = "the file changed on the server while it was fetched; the installation has to start again";
        let reason = failure.reason;
        assert!(reason.ends_with(expected) || through > 0 && reason.contains("SHA-256"), "{reason}");
        assert_eq!(is_unbootable(&disk), through > 0);
    }
}

#[test]
fn a_server_without_ranges_is_named_as_the_reason() {
    let lab = Lab::new();
    let mut file = File::new(lab.compressed.clone());
    file.ranges = false;
    lab.server.put("/disk.zst", file);

    let (failure, _) = lab.fail();

    assert!(failure.reason.contains("does not send a part of a file (no `Range`)"), "{}", failure.reason);
}

#[test]
fn a_server_without_entity_tags_can_go_on_too() {
    let lab = Lab::new();
    let mut file = File::new(lab.compressed.clone()).with([Mishap::BreakAfter(100)]);
    file.entity_tag = None;
    lab.server.put("/disk.zst", file);

    let (outcome, disk) = lab.install(DISK);

    outcome.expect("the digest guards what no entity tag does");
    assert_eq!(disk[MIB..7 * MIB], lab.raw[MIB..7 * MIB]);
}

#[test]
fn a_passing_server_error_is_tried_again() {
    let lab = Lab::new();
    let busy = [Mishap::Status(503, "starting"), Mishap::BreakAfter(300), Mishap::Status(503, "starting")];
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with(busy));

    let (outcome, _) = lab.install(DISK);

    outcome.expect("the server answers in the end");
}

#[test]
fn a_chunk_that_was_garbled_on_the_way_is_fetched_again() {
    let lab = Lab::new();
    let garbled = [Mishap::Garble, THROUGH, Mishap::Garble];
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with(garbled));

    let (outcome, disk) = lab.install(DISK);

    outcome.expect("it comes whole the next time");
    assert_eq!(disk[MIB..7 * MIB], lab.raw[MIB..7 * MIB]);
}

#[test]
fn a_chunk_that_is_damaged_on_the_server_is_not_written() {
    let lab = Lab::new();
    let mut damaged = lab.compressed.clone();
    let frame = lab.frames()[2].clone();
    damaged[frame.start as usize + 5000] ^= 0x10;
    lab.server.put("/disk.zst", File::new(damaged.clone()));

    let (failure, disk) = lab.fail();

    let found = digest(&damaged[frame.start as usize..frame.end as usize]);
    let expected = format!(
        "expected SHA-256 {}, found {found} in the chunk at byte {}",
        lab.config.disk_image.chunks[2].sha256, frame.start
    );
    assert_eq!(failure.phase, Phase::Verify);
    assert!(failure.reason.contains(&expected), "{}", failure.reason);
    assert!(is_unbootable(&disk));
    let old = std::fs::read(lab.old_disk(DISK)).expect("the disk as it was");
    assert!(disk[2 * MIB..3 * MIB] == old[2 * MIB..3 * MIB]);
}

#[test]
fn a_damaged_first_chunk_is_refused_before_the_disk_is_touched() {
    let mut lab = Lab::new();
    lab.config.disk_image.chunks[0].sha256 = digest(b"something else");

    let (failure, disk) = lab.fail();

    assert_eq!(failure.phase, Phase::Verify);
    assert!(disk == std::fs::read(lab.old_disk(DISK)).expect("the disk as it was"));
}

#[test]
fn an_image_that_was_cut_off_on_the_server_is_refused_before_the_disk_is_touched() {
    let lab = Lab::new();
    let cut = lab.compressed[..lab.compressed.len() - 1000].to_vec();
    lab.server.put("/disk.zst", File::new(cut));

    let (failure, disk) = lab.fail();

    assert!(failure.reason.contains("the image's manifest and its file do not match"), "{}", failure.reason);
    assert!(disk == std::fs::read(lab.old_disk(DISK)).expect("the disk as it was"));
}

#[test]
fn a_table_of_another_disk_is_refused_before_the_disk_is_touched() {
    let mut lab = Lab::new();
    lab.config.disk_image.raw_size += MIB as u64;

    let (failure, disk) = lab.fail();

    assert_eq!(failure.phase, Phase::Config);
    assert!(failure.reason.starts_with("there are 8 chunks: expected 9"), "{}", failure.reason);
    assert!(disk == std::fs::read(lab.old_disk(DISK)).expect("the disk as it was"));
}

#[test]
fn a_chunk_of_another_length_does_not_boot() {
    for (length, expected) in
        [(MIB / 2, "expected 1048576 bytes of disk, found 524288"), (MIB + 1, "cannot decompress the chunk at byte")]
    {
        let mut lab = Lab::new();
        let frame = zstd::encode_all(&vec![1; length][..], 1).expect("it can be compressed");
        let place = lab.frames()[4].clone();
        lab.compressed.splice(place.start as usize..place.end as usize, frame.iter().copied());
        let image = &mut lab.config.disk_image;
        (image.chunks[4].size, image.chunks[4].sha256) = (frame.len() as u32, digest(&frame));
        image.size = lab.compressed.len() as u64;
        lab.server.put("/disk.zst", File::new(lab.compressed.clone()));

        let (failure, disk) = lab.fail();

        assert!(failure.reason.contains(expected), "{}", failure.reason);
        assert!(is_unbootable(&disk));
    }
}

#[test]
fn a_missing_image_is_refused_with_the_servers_words_before_the_disk_is_touched() {
    let mut lab = Lab::new();
    lab.config.disk_image.url = lab.server.url("/nothing");

    let (failure, disk) = lab.fail();

    assert!(
        failure.reason.ends_with("/nothing: the server refused with status 404: no such file"),
        "{}",
        failure.reason
    );
    assert!(disk == std::fs::read(lab.old_disk(DISK)).expect("the disk as it was"));
}

#[test]
fn a_seed_with_a_wrong_checksum_is_refused_before_the_disk_is_touched() {
    let mut lab = Lab::new();
    lab.config.seed.sha256 = digest(b"something else");

    let (failure, disk) = lab.fail();

    assert_eq!(failure.phase, Phase::Seed);
    assert!(failure.reason.contains("expected SHA-256"), "{}", failure.reason);
    assert!(disk == std::fs::read(lab.old_disk(DISK)).expect("the disk as it was"));
}

#[test]
fn a_seed_that_cloud_init_would_not_find_is_refused() {
    let mut lab = Lab::new();
    let mut other = seed();
    other[32808..32814].copy_from_slice(b"VOLUME");
    lab.config.seed.sha256 = digest(&other);
    lab.server.put("/seed.iso", File::new(other));

    let (failure, _) = lab.fail();

    let expected = "expected an ISO 9660 image with volume label `cidata`, cloud-init would not find this one";
    assert!(failure.reason.ends_with(expected), "{}", failure.reason);
}

/// An answer that is whole; the connection ends with it.
const THROUGH: Mishap = Mishap::BreakAfter(usize::MAX);
