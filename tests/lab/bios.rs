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

    let script = |what: &What| match what {
        What::Script { boot } => Some(boot.clone()),
        _ => None,
    };
    assert_eq!(lab.wait_for_event(MAC, BOOT, script).unwrap(), "install");
    lab.wait_for_stage(MAC, Stage::Initrd, BOOT).unwrap();
    guest.console().wait_for("Linux version", BOOT).unwrap();
}

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x20]);
