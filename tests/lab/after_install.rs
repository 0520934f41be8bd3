//! What a machine does once it is installed, where its definition asks for something else than a restart.
//!
//! These machines have a BIOS, which cannot start the image, since that has a boot loader for UEFI alone: so nothing but the
//! installer can have started the system that comes up.

use lab_model::{AfterInstall, Arch, Definition, MacAddr, Phase, Stage, What};
use lab_tests::{Guest, Hardware, Lab, Link, Service};

use crate::{
    images,
    limits::{BOOT, INSTALL, POWER_DOWN, SYSTEM},
};

#[test]
fn a_machine_may_start_the_installed_system_without_its_firmware() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();
    let link = lab.link(MAC).unwrap();
    let _guest = install(&lab, &link, AfterInstall::Kexec);

    let up = lab.wait_for_stage(MAC, Stage::Up, SYSTEM).unwrap();

    let login = lab.login(&up, &link).unwrap();
    assert_eq!(login.run("hostname; test -e /sys/firmware/efi || echo BIOS").unwrap(), "web\nBIOS\n");
}

#[test]
fn a_machine_may_be_switched_off_once_it_is_installed() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();

    let guest = install(&lab, &lab.link(MAC).unwrap(), AfterInstall::PowerOff);

    assert!(guest.wait_until_off(POWER_DOWN).unwrap().success());
    assert_eq!(lab.machine(MAC).unwrap().and_then(|machine| machine.stage), Some(Stage::Installed));
}

/// Returns when the installer says that it leaves.
fn install(lab: &Lab, link: &Link, after_install: AfterInstall) -> Guest {
    let definition = lab.target("web".parse().unwrap(), Arch::X86_64, MAC, images::name());
    lab.define(&Definition { after_install, ..definition }).unwrap();
    let hardware = Hardware::new(Arch::X86_64, MAC, link.clone()).unwrap();
    let hardware = hardware.with_bios().with_blank_disk(4).unwrap();
    let guest = Guest::power_on(&hardware).unwrap();

    let leaves = |what: &What| match what {
        What::Installer(report) if report.phase == Phase::Boot => Some(()),
        _ => None,
    };
    lab.wait_for_stage(MAC, Stage::Installer, BOOT).unwrap();
    lab.wait_for_event(MAC, INSTALL, leaves).unwrap();
    guest
}

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0xb0]);
