//! What whole images boot.

mod vendor;

use std::sync::{Arc, LazyLock};

use disk_image::{Boot, By, Kernel, NotBootable, Part, TableKind};
use lab_model::Arch;
use proptest::prelude::*;
use vendor::{Content, Node, Partition, text};

#[test]
fn debians_kernel_is_in_its_root() {
    let boot = find(vendor::debian(vendor::x86_64())).expect("it boots");

    let expected = Boot {
        table: TableKind::Gpt,
        kernel: Kernel { arch: Arch::X86_64, image: vendor::x86_64() },
        initrd: b"the initrd".to_vec(),
        path: "/boot/vmlinuz-6.1.0-37-cloud".to_owned(),
        partition: 1,
        by: By::Grub,
        arguments: Some("root=UUID=1 ro console=tty1 console=ttyS0".to_owned()),
    };
    assert_eq!(boot, expected);
    assert_eq!(boot.consoles(), ["console=tty1", "console=ttyS0"]);
}

#[test]
fn ubuntus_kernel_is_on_a_partition_for_it() {
    let boot = find(vendor::ubuntu(vendor::aarch64())).expect("it boots");

    assert_eq!((boot.partition, &*boot.path, boot.by), (16, "/vmlinuz-6.8.0-31-generic", By::Grub));
    assert_eq!(boot.arch(), Arch::Aarch64);
}

#[test]
fn fedoras_kernel_is_the_saved_one_or_the_newest() {
    let path =
        |saved| find(vendor::fedora(vendor::x86_64(), saved)).map(|boot| (boot.path, boot.by)).expect("it boots");

    assert_eq!(path(""), ("/vmlinuz-6.10.14-200.fc40".to_owned(), By::Entry));
    assert_eq!(path("3c1f-6.10.4-200.fc40"), ("/vmlinuz-6.10.4-200.fc40".to_owned(), By::Entry));
}

#[test]
fn without_a_configuration_links_decide_and_then_versions() {
    let kernels = |links: &[(&'static str, Node)]| {
        let mut nodes = vec![
            ("boot/vmlinuz-6.1.0-9", Node::File(vendor::x86_64())),
            ("boot/initrd.img-6.1.0-9", text("nine")),
            ("boot/vmlinuz-6.1.0-10", Node::File(vendor::x86_64())),
            ("boot/initrd.img-6.1.0-10", text("ten")),
            ("boot/vmlinuz-6.1.0-11", Node::File(vendor::x86_64())),
        ];
        nodes.extend_from_slice(links);
        let boot =
            find(vendor::disk(&[Partition { number: 1, mib: 8, content: Content::Ext4(nodes) }])).expect("it boots");
        (boot.by, String::from_utf8(boot.initrd).expect("text"), boot.arguments)
    };
    let links =
        [("vmlinuz", Node::Link("boot/vmlinuz-6.1.0-9")), ("initrd.img", Node::Link("/boot/initrd.img-6.1.0-9"))];

    assert_eq!(kernels(&[]), (By::Version, "ten".to_owned(), None));
    assert_eq!(kernels(&links), (By::Link, "nine".to_owned(), None));
}

#[test]
fn entries_on_an_efi_system_partition_are_systemd_boots() {
    let nodes = vec![
        ("linux", Node::File(vendor::aarch64())),
        ("initrd", text("initrd")),
        ("microcode", text("first")),
        ("loader/entries/a.conf", text("title A\nlinux /linux\ninitrd /microcode\ninitrd /initrd\noptions quiet\n")),
    ];

    let boot = find(vendor::disk(&[Partition { number: 1, mib: 4, content: Content::Fat(nodes) }])).expect("it boots");

    assert_eq!((boot.by, boot.arguments.as_deref()), (By::Entry, Some("quiet")));
    assert_eq!(boot.initrd, b"first\0\0\0initrd");
}

#[test]
fn what_cannot_be_read_is_named() {
    let error = |disk| find(disk).expect_err("it does not boot").to_string();

    assert_eq!(error(vendor::hidden(b"LUKS\xba\xbe\0\x02")), "partition 2 holds LUKS, which cannot be read here");
    assert_eq!(error(vendor::hidden(b"XFSB\0\0\x10\0")), "partition 2 holds XFS, which cannot be read here");
    let nothing = "there is no kernel with an initrd on it: its partitions are 1 (FAT), 2 (something unknown)";
    assert_eq!(error(vendor::hidden(b"none")), nothing);
    assert_eq!(error(vec![0; 1 << 20]), "the disk has no partition table");
    let no_kernel = "/boot/vmlinuz-6.1.0-37-cloud on partition 1 cannot be used as a kernel";
    assert_eq!(error(vendor::debian(b"a text".to_vec())), no_kernel);
}

/// Changed where things are: tables, superblocks, folders and configuration are in the first MiB of each partition.
#[test]
fn no_disk_makes_it_panic() {
    static DISKS: LazyLock<[Arc<Vec<u8>>; 2]> =
        LazyLock::new(|| [vendor::debian(vendor::x86_64()), vendor::fedora(vendor::x86_64(), "a")].map(Arc::new));
    let places = prop_oneof![
        0_usize..3000,
        (0_usize..13, 0_usize..0x8000).prop_map(|(mib, at)| (mib << 20) + at),
        0_usize..(13 << 20)
    ];

    proptest!(ProptestConfig::with_cases(CASES), |(which in 0_usize..2, changes in prop::collection::vec((places, any::<u8>()), 1..40))| {
        let mut disk = Vec::clone(&DISKS[which]);
        for (at, byte) in changes {
            disk[at] = byte;
        }
        let _ = find(disk);
    });
    proptest!(ProptestConfig::with_cases(CASES), |(which in 0_usize..2, size in 0_u64..(14 << 20))| {
        let cut = Part::new(DISKS[which].clone(), 0, size);
        let _ = Boot::find(Arc::new(cut));
    });
}

fn find(disk: Vec<u8>) -> Result<Boot, NotBootable> {
    Boot::find(Arc::new(disk))
}

/// Each copies or reads a disk of 14 MiB.
const CASES: u32 = 100;
