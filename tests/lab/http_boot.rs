//! Machines whose UEFI boots by HTTP: no TFTP at all.

use lab_model::{Arch, FetchedFile, Firmware, MacAddr, What};
use lab_tests::{Guest, Hardware, Lab, Service};

use crate::{images, limits::BOOT};

#[test]
fn an_aarch64_machine_that_boots_by_http_reaches_its_boot_script() {
    reaches_its_script(Arch::Aarch64, Firmware::HttpArm64);
}

#[test]
fn an_x86_64_machine_that_boots_by_http_reaches_its_boot_script() {
    reaches_its_script(Arch::X86_64, Firmware::HttpX64);
}

fn reaches_its_script(arch: Arch, firmware: Firmware) {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();
    lab.define(&lab.target("web".parse().unwrap(), arch, MAC, images::name())).unwrap();
    let hardware = Hardware::new(arch, MAC, lab.link(MAC).unwrap()).unwrap();
    let hardware = hardware.with_http_boot().with_blank_disk(4).unwrap();

    let guest = Guest::power_on(&hardware).unwrap();

    assert_eq!(lab.wait_for_script(MAC, BOOT).unwrap(), "install");
    guest.console().wait_for("iPXE", BOOT).unwrap();
    let events: Vec<_> = lab.events().unwrap().into_iter().map(|event| event.what).collect();
    let asked = events.iter().any(|what| matches!(what, What::Ack { firmware: asked, .. } if *asked == firmware));
    assert!(asked, "{events:?}");
    let program = |what: &What| matches!(what, What::Fetch { file: FetchedFile::BootProgram, .. });
    assert!(events.iter().any(program), "{events:?}");
    assert!(!events.iter().any(|what| matches!(what, What::Transfer { .. })), "no TFTP: {events:?}");
}

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0xa0]);
