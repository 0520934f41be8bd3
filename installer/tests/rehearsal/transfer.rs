//! Networks and servers that misbehave.

use std::time::Duration;

use installer::Patience;
use lab_model::Phase;

use crate::image::{MIB, compress, disk_image, noise, seed};
use crate::lab::{DISK, Lab, QUICK, digest, is_unbootable};
use crate::server::{File, Mishap};

#[test]
fn a_truncated_download_goes_on_where_it_broke() {
    let lab = Lab::new();
    let breaks = [0, 1, 200_000, 1_000_000].map(Mishap::BreakAfter);
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with(breaks));

    let (outcome, disk) = lab.install(DISK);

    outcome.expect("every break is followed by another connection");
    assert_eq!(disk[MIB..7 * MIB], lab.raw[MIB..7 * MIB]);
    let disk_requests: Vec<_> =
        lab.server.requests().into_iter().filter(|request| request.starts_with("/disk.zst")).collect();
    assert_eq!(
        disk_requests,
        ["/disk.zst", "/disk.zst", "/disk.zst bytes=1-", "/disk.zst bytes=200001-", "/disk.zst bytes=1200001-"]
    );
}

#[test]
fn no_byte_of_the_image_travels_twice() {
    let lab = Lab::new();
    let breaks = [10_000, 700_000, 30_000].map(Mishap::BreakAfter);
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with(breaks));

    let (outcome, _) = lab.install(DISK);

    outcome.expect("every break is followed by another connection");
    let config = serde_json::to_vec(&lab.config).expect("a configuration has a JSON form").len();
    assert_eq!(lab.server.sent(), lab.compressed.len() + lab.seed.len() + config);
}

#[test]
fn a_server_that_restarts_in_mid_install_is_waited_for() {
    let lab = Lab::new();
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with([Mishap::RestartAfter(500_000, 3)]));

    let (outcome, disk) = lab.install(DISK);

    outcome.expect("the server comes back");
    assert_eq!(disk[MIB..7 * MIB], lab.raw[MIB..7 * MIB]);
}

#[test]
fn a_connection_that_falls_silent_is_replaced() {
    let lab = Lab::new();
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with([Mishap::SilenceAfter(400_000)]));

    let (outcome, disk) = lab.install_patiently(DISK, Patience { silence: Duration::from_secs(8), ..QUICK });

    outcome.expect("another connection carries the rest");
    assert_eq!(disk[MIB..7 * MIB], lab.raw[MIB..7 * MIB]);
    assert_eq!(lab.server.requests().last().map(String::as_str), Some("/disk.zst bytes=400000-"));
}

#[test]
fn a_server_that_stays_away_ends_the_installation_with_an_unbootable_disk() {
    let lab = Lab::new();
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with([Mishap::RestartAfter(2 * MIB, u32::MAX)]));

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
    let mut other = File::new(compress(&lab.raw[..8 * MIB - 1]));
    other.entity_tag = Some("\"two\"");
    let change = Mishap::BecomeAfter(600_000, Box::new(other));
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with([change]));

    let (failure, disk) = lab.fail();

    let expected = "the file changed on the server while it was fetched; the installation has to start again";
    assert!(failure.reason.ends_with(expected), "{}", failure.reason);
    assert!(is_unbootable(&disk));
}

#[test]
fn a_server_without_ranges_is_named_as_the_reason() {
    let lab = Lab::new();
    let mut file = File::new(lab.compressed.clone()).with([Mishap::BreakAfter(100_000)]);
    file.ranges = false;
    lab.server.put("/disk.zst", file);

    let (failure, _) = lab.fail();

    assert!(failure.reason.contains("does not send the rest of a file (no `Range`)"), "{}", failure.reason);
}

#[test]
fn a_server_without_entity_tags_can_go_on_too() {
    let lab = Lab::new();
    let mut file = File::new(lab.compressed.clone()).with([Mishap::BreakAfter(100_000)]);
    file.entity_tag = None;
    lab.server.put("/disk.zst", file);

    let (outcome, disk) = lab.install(DISK);

    outcome.expect("the digest guards what no entity tag does");
    assert_eq!(disk[MIB..7 * MIB], lab.raw[MIB..7 * MIB]);
}

#[test]
fn a_passing_server_error_is_tried_again() {
    let lab = Lab::new();
    let busy = [Mishap::Status(503, "starting"), Mishap::BreakAfter(300_000), Mishap::Status(503, "starting")];
    lab.server.put("/disk.zst", File::new(lab.compressed.clone()).with(busy));

    let (outcome, _) = lab.install(DISK);

    outcome.expect("the server answers in the end");
}

#[test]
fn an_image_with_a_wrong_checksum_does_not_boot() {
    let mut lab = Lab::new();
    lab.config.disk_image.sha256 = digest(b"something else");

    let (failure, disk) = lab.fail();

    assert_eq!(failure.phase, Phase::Verify);
    assert!(failure.reason.contains(&format!("found {}", digest(&lab.compressed))), "{}", failure.reason);
    assert!(is_unbootable(&disk));
    assert_eq!(disk[MIB..7 * MIB], lab.raw[MIB..7 * MIB]);
}

#[test]
fn a_flipped_byte_does_not_boot() {
    let lab = Lab::new();
    let mut damaged = lab.compressed.clone();
    damaged[1_500_000] ^= 0x10;
    lab.server.put("/disk.zst", File::new(damaged));

    let (_, disk) = lab.fail();

    assert!(is_unbootable(&disk));
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
fn a_stream_that_ends_before_the_disk_is_full_does_not_boot() {
    let mut lab = Lab::new();
    lab.config.disk_image.raw_size += MIB as u64;

    let (failure, disk) = lab.fail();

    assert!(failure.reason.contains("the image is shorter than its manifest says"), "{}", failure.reason);
    assert!(is_unbootable(&disk));
}

#[test]
fn a_stream_that_goes_on_beyond_its_length_does_not_boot() {
    let mut long = disk_image();
    long.resize(9 * MIB, 1);
    let mut lab = Lab::with_image(long);
    lab.config.disk_image.raw_size = 8 * MIB as u64;

    let (failure, disk) = lab.fail();

    assert!(failure.reason.contains("the image is longer than its manifest says"), "{}", failure.reason);
    assert!(is_unbootable(&disk));
}

#[test]
fn a_window_that_would_not_fit_into_memory_is_refused() {
    let mut lab = Lab::new();
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.window_log(27).expect("a window of 128 MiB");
    let mut raw = disk_image();
    noise(&mut raw[MIB..7 * MIB], 8);
    std::io::copy(&mut &raw[..], &mut encoder).expect("bytes can be compressed");
    let compressed = encoder.finish().expect("bytes can be compressed");
    lab.config.disk_image.size = compressed.len() as u64;
    lab.server.put("/disk.zst", File::new(compressed));

    let (failure, _) = lab.fail();

    assert!(failure.reason.contains("expected zstd with a window of at most 8 MiB"), "{}", failure.reason);
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
