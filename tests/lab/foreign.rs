//! A disk with a system that is no Linux: it is written by another image's kernel, as it is.

use std::{
    fs::{self, File},
    io::{Cursor, Read as _},
    process::Command,
};

use gptman::{GPT, GPTPartitionEntry};
use lab_model::{AfterInstall, Arch, Definition, MacAddr, Phase, What};
use lab_tests::{Guest, Hardware, Lab, Service, Supplies};

use crate::{
    images,
    limits::{BOOT, INSTALL, POWER_DOWN},
};

#[test]
fn a_disk_that_is_no_linux_is_written_byte_for_byte() {
    let supplies = images::supplies();
    let work = tempfile::tempdir_in("/var/tmp").unwrap();
    let disk = foreign_disk();
    fs::write(work.path().join("other.raw"), &disk).unwrap();
    let home = work.path().join("home");
    let pvmlab = |arguments: &[&str]| {
        let status = Command::new(&supplies.command)
            .args(arguments)
            .env("PVMLAB_HOME", &home)
            .current_dir(work.path())
            .status()
            .unwrap();
        assert!(status.success(), "{arguments:?}");
    };
    pvmlab(&["setup"]);
    let linux = supplies.images.join(images::name().as_str()).join("x86_64");
    pvmlab(&["distro", "add", linux.to_str().unwrap()]);
    let kernel = images::name().to_string();
    pvmlab(&["distro", "add", "other.raw", "--arch", "x86_64", "--installer-kernel", &kernel]);

    let lab = Lab::start(Service::Network, &Supplies { images: home.join("images"), ..supplies.clone() }).unwrap();
    let target = lab.target("other".parse().unwrap(), Arch::X86_64, MAC, "other".parse().unwrap());
    lab.define(&Definition { after_install: AfterInstall::PowerOff, ..target }).unwrap();
    let hardware = Hardware::new(Arch::X86_64, MAC, lab.link(MAC).unwrap()).unwrap().with_blank_disk(1).unwrap();
    let guest = Guest::power_on(&hardware).unwrap();
    lab.wait_for_event(MAC, BOOT + INSTALL, written).unwrap();
    assert!(guest.wait_until_off(POWER_DOWN).unwrap().success());

    let mut found = vec![0; disk.len()];
    File::open(hardware.first_disk().unwrap()).unwrap().read_exact(&mut found).unwrap();
    let wrong = disk[MIB..END].iter().zip(&found[MIB..END]).position(|(expected, found)| expected != found);
    assert_eq!(wrong, None, "behind the table it is the same");
    assert!(found[..440] == disk[..440], "and so is the boot code");
    let (before, after) = (table(&disk), table(&found));
    for number in [1, 2] {
        assert_eq!(after[number], before[number]);
    }
    assert_eq!(after[3].partition_name.as_str(), "cidata");
}

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x48]);

const MIB: usize = 1 << 20;

/// Where the last partition of the disk ends.
const END: usize = 60 * MIB;

/// 64 MiB: boot code, and two partitions of bytes that are the same in every run.
fn foreign_disk() -> Vec<u8> {
    let mut disk = vec![0; 64 * MIB];
    let mut gpt = GPT::new_from(&mut Cursor::new(&mut disk), 512, [9; 16]).unwrap();
    for (number, start, end) in [(1, MIB, 9 * MIB), (2, 9 * MIB, END)] {
        gpt[number] = GPTPartitionEntry {
            partition_type_guid: [0x51; 16],
            unique_partition_guid: [number as u8; 16],
            starting_lba: start as u64 / 512,
            ending_lba: end as u64 / 512 - 1,
            attribute_bits: 0,
            partition_name: "other".into(),
        };
    }
    GPT::write_protective_mbr_into(&mut Cursor::new(&mut disk), 512).unwrap();
    gpt.write_into(&mut Cursor::new(&mut disk)).unwrap();
    disk[..440].fill(0xcc);
    // Bytes without a pattern (xorshift64), then a hole.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for byte in &mut disk[MIB..20 * MIB] {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state as u8;
    }
    disk[END - 5000..END].fill(0x77);
    disk
}

fn table(disk: &[u8]) -> GPT {
    GPT::read_from(&mut Cursor::new(disk), 512).unwrap()
}

fn written(what: &What) -> Option<()> {
    matches!(what, What::Installer(report) if report.phase == Phase::Boot && report.failure.is_none()).then_some(())
}
