//! Against `qemu-img`, which is not only another program but the one that defines the format.

use std::fs;
use std::process::Command;

use proptest::prelude::*;

use super::*;

#[test]
fn reads_every_kind_as_qemu_does() {
    for arguments in [
        &[][..],
        &["-c"],
        &["-o", "compat=0.10"],
        &["-c", "-o", "cluster_size=4k"],
        &["-c", "-o", "compression_type=zstd"],
        &["-o", "extended_l2=on,cluster_size=128k"],
        &["-c", "-o", "extended_l2=on,cluster_size=2M"],
    ] {
        let image = Qcow2::open(Arc::new(converted(arguments))).expect("an image");

        let mut all = vec![0; content().len()];
        image.read_at(0, &mut all).expect("read");
        assert!(all == content(), "{arguments:?}");
        for (at, length) in [(0, 1), (511, 2), (65535, 2), (131_000, 70_000), (3_000_001, 1), (3_145_728, 0)] {
            let mut piece = vec![1; length];
            image.read_at(at as u64, &mut piece).expect("read");
            assert!(piece == content()[at..at + length], "{arguments:?} {at} {length}");
        }
        assert!(image.read_at(content().len() as u64 - 1, &mut [0; 2]).is_err());
    }
}

#[test]
fn knows_its_holes() {
    let image = Qcow2::open(Arc::new(converted(&[]))).expect("an image");

    assert!(image.is_hole(1 << 20, 1 << 20).expect("known"));
    assert!(!image.is_hole(0, 1 << 20).expect("known"));
    assert!(!image.is_hole(1 << 20, (1 << 20) + 1).expect("known"));
}

#[test]
fn half_a_file_is_an_error_and_no_zeros() {
    for arguments in [&[][..], &["-c"]] {
        let mut file = converted(arguments);
        file.truncate(file.len() / 2);

        let image = Qcow2::open(Arc::new(file)).expect("its beginning is whole");

        assert!(image.read_at(0, &mut vec![0; content().len()]).is_err(), "{arguments:?}");
    }
}

#[test]
fn an_image_that_is_not_all_there_says_why() {
    let error = |at: usize, byte: u8| {
        let mut file = converted(&[]);
        file[at] = byte;
        Qcow2::open(Arc::new(file)).err().expect("refused").to_string()
    };

    assert_eq!(error(15, 1), "the qcow2 image is laid over another file");
    assert_eq!(error(35, 2), "the qcow2 image is encrypted");
    assert_eq!(error(79, 2), "the qcow2 image is marked as corrupt");
    assert_eq!(error(79, 4), "the qcow2 image is laid over another file");
    assert_eq!(
        error(78, 1),
        "the qcow2 image needs a feature that is not known here (incompatible feature bits 0x100)"
    );
    assert_eq!(error(23, 40), "the qcow2 image's header makes no sense: its clusters' size");
    assert_eq!(error(24, 1), "the qcow2 image's header makes no sense: its size");
    assert_eq!(error(39, 0), "the qcow2 image's header makes no sense: its first table's size");
    assert_eq!(error(40, 1), "the qcow2 image is cut short");
}

/// Several of these in one file, so that `qemu-img` runs once.
#[test]
fn no_file_makes_it_panic() {
    let files = [converted(&[]), converted(&["-c"]), converted(&["-o", "extended_l2=on,cluster_size=128k"])];
    let changes = prop::collection::vec((prop_oneof![0_usize..112, 0_usize..0x60000], any::<u8>()), 0..8);

    proptest!(|(which in 0_usize..3, changes in changes, cut in any::<prop::sample::Index>(), cuts in any::<bool>())| {
        let mut file = files[which].clone();
        for (at, byte) in changes {
            let at = at.min(file.len() - 1);
            file[at] = byte;
        }
        if cuts {
            file.truncate(cut.index(file.len()));
        }
        if let Ok(image) = Qcow2::open(Arc::new(file)) {
            let mut buffer = vec![0; image.size().min(4 << 20) as usize];
            let _ = image.read_at(0, &mut buffer);
            let _ = image.read_at(image.size() - 1, &mut [0]);
            let _ = image.is_hole(0, 4 << 20);
        }
    });
}

/// 3 MiB: the first is random, the second a hole, the third text.
fn content() -> Vec<u8> {
    let mut content = vec![0; 3 << 20];
    let mut state = 1_u32;
    for byte in &mut content[..1 << 20] {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    for (at, byte) in content[2 << 20..].iter_mut().enumerate() {
        *byte = b"the quick brown fox\n"[at % 20];
    }
    content
}

#[expect(clippy::disallowed_methods, reason = "a test makes its input with another program")]
fn converted(arguments: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let (raw, image) = (folder.path().join("raw"), folder.path().join("qcow2"));
    fs::write(&raw, content()).expect("written");
    let mut qemu_img = Command::new("qemu-img");
    qemu_img.args(["convert", "-f", "raw", "-O", "qcow2"]).args(arguments).arg(&raw).arg(&image);
    let status = qemu_img.status().expect("qemu-img runs: install qemu-utils");
    assert!(status.success(), "{arguments:?}");
    fs::read(&image).expect("read")
}
