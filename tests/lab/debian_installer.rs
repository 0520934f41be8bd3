//! Debian's own installer, started by the profile that is shipped.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use gptman::GPT;
use lab_model::{Arch, Definition, FetchedFile, MacAddr, Phase, Stage, What};
use lab_tests::{Archive, Guest, Hardware, Lab, Service};

use crate::{
    images,
    limits::{BOOT, INSTALL},
};

#[test]
fn debians_installer_partitions_and_asks_nobody_on_aarch64() {
    asks_nobody(Arch::Aarch64);
}

#[test]
fn debians_installer_partitions_and_asks_nobody_on_x86_64() {
    asks_nobody(Arch::X86_64);
}

/// The mirror has what the installer partitions with, and nothing that it would install. Nobody signs it.
fn asks_nobody(arch: Arch) {
    let supplies = images::supplies();
    let image = supplies.images.join(IMAGE).join(arch.as_str());
    let lab = Lab::start(Service::Network, &supplies).unwrap();
    let archive = Archive::serve(&image.join("archive")).unwrap();
    let profile = "debian-preseed".parse().unwrap();
    let text = SHIPPED.replace("debian-12-netboot", IMAGE);
    lab.profile(&profile, &[("profile.toml", &text), ("preseed.cfg.j2", PRESEED), ("report.j2", REPORT)]).unwrap();
    let console = if arch == Arch::X86_64 { "console=ttyS0,115200 " } else { "" };
    let arguments = format!("{console}debian-installer/allow_unauthenticated=true anna/no_kernel_modules=true");
    let vars = [("mirror", archive.host()), ("arguments", arguments)];
    let definition = Definition {
        pxeboot: true,
        profile: Some(profile),
        vars: vars.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ..Definition::new("web".parse().unwrap(), arch, MAC)
    };
    lab.define(&definition).unwrap();
    let hardware = Hardware::new(arch, MAC, lab.link(MAC).unwrap()).unwrap().with_blank_disk(16).unwrap();

    let _guest = Guest::power_on(&hardware).unwrap();

    assert_eq!(lab.wait_for_script(MAC, BOOT).unwrap(), "installer");
    lab.wait_for_event(MAC, BOOT, fetches(FetchedFile::Initrd)).unwrap();
    lab.wait_for_event(MAC, INSTALL, |what| reports(what, Phase::Config)).unwrap();
    archive.wait_for(INSTALL, |path| path.ends_with(".udeb")).unwrap();
    lab.wait_for_event(MAC, INSTALL, |what| reports(what, Phase::Disk)).unwrap();
    lab.wait_for_event(MAC, INSTALL, |what| reports(what, Phase::Write)).unwrap();
    let machine = lab.machine(MAC).unwrap().unwrap();
    assert_eq!((machine.stage, machine.failure), (Some(Stage::Write), None));
    assert_is_partitioned(hardware.first_disk().unwrap());
    println!("{arch}:\n{}", lab.timeline());
}

/// A GUID partition table with an EFI system partition, and ext4 on another one.
fn assert_is_partitioned(disk: &Path) {
    let mut disk = File::open(disk).unwrap();
    let table = GPT::read_from(&mut disk, 512).unwrap();
    let used: Vec<_> =
        table.iter().filter(|(_, partition)| partition.is_used()).map(|(_, partition)| partition).collect();
    assert!(used.iter().any(|partition| partition.partition_type_guid == EFI_SYSTEM_PARTITION), "{table:?}");
    let mut is_ext4 = |first_block: u64| {
        let mut magic = [0; 2];
        disk.seek(SeekFrom::Start(first_block * 512 + 1024 + 0x38)).unwrap();
        disk.read_exact(&mut magic).unwrap();
        u16::from_le_bytes(magic) == EXT_MAGIC
    };
    assert!(used.iter().any(|partition| is_ext4(partition.starting_lba)), "{table:?}");
}

fn fetches(wanted: FetchedFile) -> impl Fn(&What) -> Option<()> {
    move |what| matches!(what, What::Fetch { file, .. } if *file == wanted).then_some(())
}

fn reports(what: &What, phase: Phase) -> Option<()> {
    matches!(what, What::Installer(report) if report.phase == phase).then_some(())
}

/// UEFI 2.10 §5.3.3: C12A7328-F81F-11D2-BA4B-00A0C93EC93B, as it is on a disk.
const EFI_SYSTEM_PARTITION: [u8; 16] =
    [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];

/// Of a superblock of ext2 to ext4, 0x38 bytes into it.
const EXT_MAGIC: u16 = 0xef53;

/// As `cargo xtask test` prepares it, with a part of Debian's archive beside it.
const IMAGE: &str = "debian-13-netboot";

const SHIPPED: &str = include_str!("../../docs/examples/profiles/debian-preseed/profile.toml");
const PRESEED: &str = include_str!("../../docs/examples/profiles/debian-preseed/preseed.cfg.j2");
const REPORT: &str = include_str!("../../docs/examples/profiles/debian-preseed/report.j2");

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x91]);
