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
    let definition = lab.target("web".parse().unwrap(), Arch::X86_64, MAC, images::name());
    let definition = Definition {
        after_install: AfterInstall::Kexec,
        user_data: Some(USER_DATA.to_owned().into()),
        vendor_data: Some("#!/bin/sh\necho vendor > /var/told\n".to_owned().into()),
        ..definition
    };
    let _guest = install(&lab, &link, &definition);

    let up = lab.wait_for_stage(MAC, Stage::Up, SYSTEM).unwrap();

    let login = lab.login(&up, &link).unwrap();
    assert_eq!(login.run("hostname; test -e /sys/firmware/efi || echo BIOS").unwrap(), "web\nBIOS\n");

    // What its owner told it counts beside what the lab tells it.
    let told = "cat /etc/told /var/told; id -un ann; sudo grep resize_rootfs /var/lib/cloud/instance/cloud-config.txt";
    assert_eq!(login.run(told).unwrap(), "\u{fc}\nvendor\nann\nresize_rootfs: noblock\n");
    for (file, text) in EXAMPLES {
        let check = format!("cat > {file} << 'END'\n{text}\nEND\ncloud-init schema --config-file {file} 2>&1");
        let said = login.run(&check).unwrap();
        assert!(said.contains("Valid cloud-config"), "{file}: {said}");
    }
    // Everybody on it has its address now, and nobody gets its seed.
    let seed =
        r"exec 3<> /dev/tcp/10.77.0.1/80; printf 'GET /cloud-init/web/seed.iso HTTP/1.0\r\n\r\n' >&3; head -n 1 <&3";
    assert_eq!(login.run(seed).unwrap(), "HTTP/1.0 403 Forbidden\r\n");
}

#[test]
fn a_machine_may_be_switched_off_once_it_is_installed() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();

    let definition = lab.target("web".parse().unwrap(), Arch::X86_64, MAC, images::name());
    let definition = Definition { after_install: AfterInstall::PowerOff, ..definition };
    let guest = install(&lab, &lab.link(MAC).unwrap(), &definition);

    assert!(guest.wait_until_off(POWER_DOWN).unwrap().success());
    assert_eq!(lab.machine(MAC).unwrap().and_then(|machine| machine.stage), Some(Stage::Installed));
}

/// Returns when the installer says that it leaves.
fn install(lab: &Lab, link: &Link, definition: &Definition) -> Guest {
    lab.define(definition).unwrap();
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

const USER_DATA: &str = "#cloud-config
users:
  - name: ann
    lock_passwd: true
# In place of the lab's.
resize_rootfs: noblock
write_files:
  - path: /etc/told
    content: |
      \u{fc}
";

/// Of the shipped ones, those whose schema cloud-init knows.
const EXAMPLES: [(&str, &str); 3] = [
    ("disk.yaml", include_str!("../../docs/examples/cloud-init/disk.yaml")),
    ("packages.yaml", include_str!("../../docs/examples/cloud-init/packages.yaml")),
    ("users.yaml", include_str!("../../docs/examples/cloud-init/users.yaml")),
];

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0xb0]);
