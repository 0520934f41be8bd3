//! `pvmlab distro add FILE`: images as vendors publish them.

mod bench;
#[path = "../../crates/disk-image/tests/vendor/mod.rs"]
mod vendor;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bench::Lab;
use lab_model::ImageManifest;

#[test]
fn every_vendors_image_is_registered_as_it_is_downloaded() {
    let lab = Lab::new();
    let debian = vendor::debian(vendor::x86_64());
    qcow2(&lab, "debian-12-generic-amd64.qcow2", &debian);
    packed(&lab, "xz", "ubuntu.img.xz", &vendor::ubuntu(vendor::aarch64()));
    packed(&lab, "zstd", "fedora.raw.zst", &vendor::fedora(vendor::x86_64(), ""));

    let said = [
        lab.run(&["distro", "add", "debian-12-generic-amd64.qcow2"]),
        lab.run(&["distro", "add", "ubuntu.img.xz", "--name", "ubuntu-24.04", "--arch", "arm64"]),
        lab.run(&["distro", "add", "fedora.raw.zst"]),
        lab.images(),
    ]
    .join("\n");

    insta::assert_snapshot!("vendors", said);
    let folder = lab.home().join("images/debian-12-generic-amd64/x86_64");
    let manifest = fs::read_to_string(folder.join("manifest.json")).expect("read");
    let manifest = ImageManifest::from_json(&manifest).expect("a manifest");
    assert_eq!(manifest.kernel_arguments, ["console=tty1", "console=ttyS0"]);
    assert_eq!(manifest.installed_arguments.as_deref(), Some("root=UUID=1 ro console=tty1 console=ttyS0"));
    assert_eq!(fs::read(folder.join("vmlinuz")).expect("read"), vendor::x86_64());
    assert_eq!(fs::read(folder.join("initrd.img")).expect("read"), b"the initrd");
    let disk = fs::read(folder.join("disk.raw.zst")).expect("read");
    assert!(zstd::decode_all(&disk[..]).expect("it unpacks") == debian);
    // What was prepared is verified like any other image.
    let again = lab.output(&["distro", "add", folder.to_str().expect("text")]);
    assert!(again.status.success());
}

#[test]
fn a_disk_whose_kernel_is_not_found_is_written_by_another_images() {
    let lab = Lab::new();
    fs::write(lab.folder().join("debian.img"), vendor::debian(vendor::x86_64())).expect("written");
    let disk = vendor::hidden(b"XFSB\0\0\x10\0");
    fs::write(lab.folder().join("rocky.img"), &disk).expect("written");
    fs::write(lab.folder().join("mbr.img"), mbr()).expect("written");
    let add = |name| ["distro", "add", name, "--installer-kernel", "debian", "--arch", "x86_64"];

    let said = [
        lab.run(&add("rocky.img")),
        lab.run(&["distro", "add", "debian.img"]),
        lab.run(&add("rocky.img")),
        lab.run(&add("mbr.img")),
        lab.run(&["distro", "rm", "debian", "--arch", "x86_64"]),
        lab.images(),
    ]
    .join("\n");

    insta::assert_snapshot!("installer_kernel", said);
    let folder = lab.home().join("images/rocky/x86_64");
    assert_eq!(fs::read(folder.join("vmlinuz")).expect("read"), vendor::x86_64());
    let packed = fs::read(folder.join("disk.raw.zst")).expect("read");
    assert!(zstd::decode_all(&packed[..]).expect("it unpacks") == disk);
}

#[test]
fn what_cannot_be_installed_is_refused_and_leaves_nothing() {
    let lab = Lab::new();
    let debian = vendor::debian(vendor::x86_64());
    let write = |name: &str, content: &[u8]| fs::write(lab.folder().join(name), content).expect("written");
    let files = [
        ("luks.img", vendor::hidden(b"LUKS\xba\xbe\0\x02")),
        ("lvm.img", vendor::hidden(&[&[0; 512][..], b"LABELONE"].concat())),
        ("xfs.img", vendor::hidden(b"XFSB\0\0\x10\0")),
        ("empty.img", vendor::hidden(b"nothing")),
        ("broken-kernel.img", vendor::debian(b"a text".to_vec())),
        ("no-table.img", vec![0; 1 << 20]),
        ("mbr.img", mbr()),
        ("cut.img", debian[..8 << 20].to_vec()),
        ("image.vmdk", b"KDMV and more".to_vec()),
        ("debian.img", debian.clone()),
        ("Ünïcode.img", debian.clone()),
    ];
    let mut said = Vec::new();
    for (name, content) in &files {
        write(name, content);
        let arch = if *name == "debian.img" { &["--arch", "aarch64"][..] } else { &[] };
        said.push(lab.run(&[&["distro", "add", name], arch].concat()));
    }
    let whole = qcow2(&lab, "whole.qcow2", &debian);
    write("cut.qcow2", &whole[..whole.len() / 2]);
    said.push(lab.run(&["distro", "add", "cut.qcow2"]));
    packed(&lab, "xz", "cut.raw.xz", &debian);
    let xz = fs::read(lab.folder().join("cut.raw.xz")).expect("read");
    write("cut.raw.xz", &xz[..xz.len() / 2]);
    said.push(lab.run(&["distro", "add", "cut.raw.xz"]));
    said.push(lab.run(&["distro", "add", "none.qcow2"]));
    said.push(lab.run(&["distro", "add", ".", "--name", "debian"]));

    insta::assert_snapshot!("not_installable", said.join("\n"));
    assert_eq!(lab.files(), [""; 0]);
}

/// Of tables that promise anything, no more memory is taken than a good image takes: beyond the limit the program would abort.
#[test]
fn a_corrupted_image_takes_little_memory_and_says_what_is_wrong() {
    let lab = Lab::new();
    let whole = qcow2(&lab, "image.qcow2", &vendor::debian(vendor::x86_64()));
    let first_table = u64::from_be_bytes(whole[40..48].try_into().expect("8 bytes")) as usize;
    let table =
        u64::from_be_bytes(whole[first_table..first_table + 8].try_into().expect("8 bytes")) as usize & 0xff_ffff;
    // A small generator: the same changes in every run, in the header and the tables of both levels.
    let mut state = 1_u64;
    let mut number = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut refused = 0;

    for case in 0..24 {
        let mut image = whole.clone();
        for _ in 0..=number(4) {
            let at = match case % 3 {
                0 => 20 + number(28),
                1 => first_table + number(8),
                _ => table + number(64),
            };
            image[at] = number(256) as u8;
        }
        fs::write(lab.folder().join("image.qcow2"), &image).expect("written");
        let output =
            limited(&lab, "ulimit -d 262144", &["distro", "add", "image.qcow2", "--name", &format!("image-{case}")]);

        let said = lab.transcript(&["distro", "add"], &output);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{case}: {said}");
        if !output.status.success() {
            assert!(said.contains("\nerror: ") && said.contains("\nhint: "), "{case}: {said}");
            refused += 1;
        }
    }

    assert!(refused > 12, "{refused}");
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let lab = Lab::new();
    fs::write(lab.folder().join("debian.img"), vendor::debian(vendor::x86_64())).expect("written");
    lab.run(&["distro", "add", "debian.img"]);
    let before = lab.files();

    insta::assert_snapshot!("taken", lab.run(&["distro", "add", "debian.img"]));
    assert_eq!(lab.files(), before);
}

#[test]
fn a_full_disk_leaves_no_image() {
    let lab = Lab::new();
    fs::write(lab.folder().join("debian.img"), vendor::debian(vendor::x86_64())).expect("written");
    // What a full disk does, a limit on a file's length does as well.
    let output = limited(&lab, "trap '' XFSZ; ulimit -f 64", &["distro", "add", "debian.img"]);

    insta::assert_snapshot!("full", hide_temporary(&lab.transcript(&["distro", "add", "debian.img"], &output)));
    assert_eq!(lab.files(), [""; 0]);
}

/// The disk has 500 GiB of zeros after its content, so that it is being packed when the signal comes.
#[test]
fn ctrl_c_leaves_no_image() {
    let lab = Lab::new();
    qcow2(&lab, "debian.qcow2", &vendor::debian(vendor::x86_64()));
    let mut qemu_img = Command::new("qemu-img");
    qemu_img.args(["resize", "-q", "debian.qcow2", "500G"]).current_dir(lab.folder());
    assert!(qemu_img.status().expect("it runs").success());
    let mut command = lab.command(&["distro", "add", "debian.qcow2"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());

    let child = command.spawn().expect("it runs");
    while disks(&lab.home().join("images/debian")).is_empty() {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("it runs").success());
    let output = child.wait_with_output().expect("it ends");

    insta::assert_snapshot!("interrupted", lab.transcript(&["distro", "add", "debian.qcow2"], &output));
    assert_eq!(lab.files(), [""; 0]);
}

/// Runs the program after a shell has set limits for it.
fn limited(lab: &Lab, limits: &str, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_pvmlab");
    let mut command = Command::new("bash");
    command.args(["-c", &format!("{limits}; exec \"$0\" \"$@\""), program]).args(arguments);
    command.env("PVMLAB_HOME", lab.home()).env("NO_COLOR", "1").current_dir(lab.folder()).stdin(Stdio::null());
    command.output().expect("it runs")
}

/// Disks that are being written in the folders below `folder`.
fn disks(folder: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(folder).into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join("disk.raw.zst")).filter(|disk| disk.exists()).collect()
}

/// The names of temporary folders differ each time.
fn hide_temporary(text: &str) -> String {
    let mut pieces = text.split(".new-");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        format!("{text}.new-…{}", piece.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric()))
    })
}

fn mbr() -> Vec<u8> {
    // The first partition of Debian's disk that has files, at its place.
    let mut disk = vendor::debian(vendor::x86_64());
    disk[512..4096].fill(0);
    disk[446..512].fill(0);
    disk[446 + 4] = 0x83;
    disk[446 + 8..446 + 12].copy_from_slice(&(5_u32 << 11).to_le_bytes());
    disk[446 + 12..446 + 16].copy_from_slice(&(8_u32 << 11).to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

fn qcow2(lab: &Lab, name: &str, content: &[u8]) -> Vec<u8> {
    let (raw, image) = (lab.folder().join("raw"), lab.folder().join(name));
    fs::write(&raw, content).expect("written");
    let mut qemu_img = Command::new("qemu-img");
    qemu_img.args(["convert", "-q", "-c", "-f", "raw", "-O", "qcow2"]).args([&raw, &image]);
    assert!(qemu_img.status().expect("it runs: install qemu-utils").success());
    fs::remove_file(raw).expect("removed");
    fs::read(image).expect("read")
}

fn packed(lab: &Lab, program: &str, name: &str, content: &[u8]) {
    let raw = lab.folder().join("raw");
    fs::write(&raw, content).expect("written");
    let output = fs::File::create(lab.folder().join(name)).expect("made");
    let mut command = Command::new(program);
    command.args(["-q", "-c"]).arg(&raw).stdout(output);
    assert!(command.status().expect("it runs: install xz-utils and zstd").success());
    fs::remove_file(raw).expect("removed");
}
