//! The whole way without any privilege: the emulator's own network, and a server that only speaks HTTP.

use lab_model::{Arch, MacAddr, Stage};
use lab_tests::{Guest, Hardware, Lab, Namespace, Service};

use crate::{
    images,
    limits::{BOOT, SYSTEM},
};

#[test]
fn a_machine_is_installed_without_any_privilege() {
    // For its loopback interface alone, which no other test uses: neither emulator nor server may do anything to it.
    let _namespace = Namespace::enter().unwrap();
    let lab = Lab::start(Service::http_only().unwrap(), &images::supplies()).unwrap();
    lab.define(&lab.target("web".parse().unwrap(), Arch::X86_64, MAC, images::name())).unwrap();
    let link = lab.link(MAC).unwrap();
    let stick = lab.usb_stick(Arch::X86_64).unwrap();
    let hardware = Hardware::new(Arch::X86_64, MAC, link.clone()).unwrap().with_blank_disk(4).unwrap();
    let hardware = hardware.with_usb_stick(stick.path());

    let _guest = Guest::power_on(&hardware).unwrap();
    lab.wait_for_stage(MAC, Stage::Installer, BOOT).unwrap();
    let up = lab.wait_for_stage(MAC, Stage::Up, SYSTEM).unwrap();

    let login = lab.login(&up, &link).unwrap();
    assert_eq!(login.run("hostname").unwrap(), "web\n");
}

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x50]);
