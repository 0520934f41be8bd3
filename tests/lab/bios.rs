//! Machines without UEFI: SeaBIOS, and iPXE in the network card's option ROM.

use lab_model::{Arch, MacAddr, Stage, What};
use lab_tests::{Guest, Hardware, Lab, Service};

use crate::{images, limits::BOOT};

#[test]
fn a_bios_machine_reaches_its_boot_script_and_fetches_what_it_names() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();
    lab.define(&lab.target("old".parse().unwrap(), Arch::X86_64, MAC, images::name())).unwrap();
    let hardware = Hardware::new(Arch::X86_64, MAC, lab.link(MAC).unwrap()).unwrap();
    let hardware = hardware.with_bios().with_blank_disk(4).unwrap();

    let guest = Guest::power_on(&hardware).unwrap();

    assert_eq!(lab.wait_for_script(MAC, BOOT).unwrap(), "install");
    lab.wait_for_stage(MAC, Stage::Initrd, BOOT).unwrap();
    guest.console().wait_for("Linux version", BOOT).unwrap();
}

#[test]
fn a_bios_machine_whose_rom_is_not_ipxe_gets_ours_on_top_of_it() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();
    lab.define(&lab.target("old".parse().unwrap(), Arch::X86_64, MAC, images::name())).unwrap();
    let hardware = Hardware::new(Arch::X86_64, MAC, lab.link(MAC).unwrap()).unwrap().with_bios();

    let mut guest = Guest::power_on(&hardware).unwrap();
    // No other ROM is to be had here: this one asks as if it were not iPXE, and does what it is told.
    guest.console().wait_for("Press Ctrl-B for", BOOT).unwrap();
    guest.press(CTRL_B).unwrap();
    guest.type_line("iPXE> ", "set user-class other", BOOT).unwrap();
    guest.type_line("iPXE> ", "autoboot", BOOT).unwrap();

    let program = |what: &What| match what {
        What::Transfer { file, .. } => Some(file.clone()),
        _ => None,
    };
    assert_eq!(lab.wait_for_event(MAC, BOOT, program).unwrap(), "undionly.kpxe");
    assert_eq!(lab.wait_for_script(MAC, BOOT).unwrap(), "install");
}

const CTRL_B: char = '\x02';

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x20]);
