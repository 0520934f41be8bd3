//! Machines that boot over IPv6: nobody gives them an IPv4 address.

use std::time::Duration;

use lab_model::{Arch, FetchedFile, Firmware, MacAddr, Phase, Stage, What};
use lab_tests::{Guest, Hardware, Lab, Service};

use crate::{images, install::is_phase, limits};

#[test]
fn an_x86_64_machine_that_boots_by_pxe_over_ipv6_reaches_its_boot_script() {
    boots_by_pxe(Arch::X86_64, Firmware::UefiX64, "ipxe-x86_64.efi");
}

#[test]
fn an_aarch64_machine_that_boots_by_pxe_over_ipv6_reaches_its_boot_script() {
    boots_by_pxe(Arch::Aarch64, Firmware::UefiArm64, "ipxe-arm64.efi");
}

#[test]
fn an_aarch64_machine_that_boots_by_http_over_ipv6_reaches_its_boot_script() {
    let lab = lab(Arch::Aarch64);
    let hardware = hardware(&lab, Arch::Aarch64).with_http_boot();

    let guest = Guest::power_on(&hardware).unwrap();

    boots_by_http(&lab, &guest, Firmware::HttpArm64);
}

#[test]
fn an_x86_64_machine_that_boots_by_http_over_ipv6_is_installed_and_lets_us_in() {
    let lab = lab(Arch::X86_64);
    let link = lab.link(MAC).unwrap();
    let hardware = Hardware::new(Arch::X86_64, MAC, link.clone()).unwrap().with_blank_disk(4).unwrap();
    let hardware = hardware.with_http_boot();

    let guest = Guest::power_on(&hardware).unwrap();
    boots_by_http(&lab, &guest, Firmware::HttpX64);
    let reached = |phase| lab.wait_for_event(MAC, limits::INSTALL, |what| is_phase(what, phase)).unwrap();
    let network = reached(Phase::Network);
    reached(Phase::Boot);
    let up = lab.wait_for_stage(MAC, Stage::Up, limits::SYSTEM).unwrap();

    assert!(network.as_deref().is_some_and(|detail| detail.contains(&format!("{ADDRESS} by DHCPv6"))), "{network:?}");
    assert_eq!((up.address, up.ipv6), (None, Some(ADDRESS.parse().unwrap())), "an address of one family");
    let login = lab.login(&up, &link).unwrap();
    assert_eq!(login.run("hostname").unwrap(), "web\n");
}

fn boots_by_pxe(arch: Arch, firmware: Firmware, program: &str) {
    let lab = lab(arch);
    let hardware = hardware(&lab, arch).with_ipv6_pxe();

    let guest = Guest::power_on(&hardware).unwrap();

    reaches_its_script(&lab, &guest, firmware);
    let loaded = lab.wait_for_event(MAC, LIMIT, |what| match what {
        What::Transfer { file, .. } => Some(file.clone()),
        _ => None,
    });
    assert_eq!(loaded.unwrap(), program);
}

fn boots_by_http(lab: &Lab, guest: &Guest, firmware: Firmware) {
    reaches_its_script(lab, guest, firmware);
    let events = lab.events().unwrap();
    let program = |what: &What| matches!(what, What::Fetch { file: FetchedFile::BootProgram, .. });
    assert!(events.iter().any(|event| program(&event.what)), "{events:?}");
    assert!(!events.iter().any(|event| matches!(event.what, What::Transfer { .. })), "no TFTP: {events:?}");
}

fn reaches_its_script(lab: &Lab, guest: &Guest, firmware: Firmware) {
    assert_eq!(lab.wait_for_script(MAC, LIMIT).unwrap(), "install");
    guest.console().wait_for("pvmlab: web gets debian-12", LIMIT).unwrap();
    guest.console().wait_for("from http://[fd77::1]", LIMIT).unwrap();
    lab.wait_for_event(MAC, LIMIT, |what| match what {
        What::Ack { address, firmware: asked } if *asked == firmware => {
            assert_eq!(address.to_string(), ADDRESS);
            Some(())
        }
        _ => None,
    })
    .unwrap();
    lab.wait_for_event(MAC, LIMIT, |what| match what {
        What::Fetch { file: FetchedFile::Initrd, .. } => Some(()),
        _ => None,
    })
    .unwrap();
}

fn lab(arch: Arch) -> Lab {
    let lab = Lab::start(Service::Ipv6, &images::supplies()).unwrap();
    let mut web = lab.target("web".parse().unwrap(), arch, MAC, images::name());
    web.ipv6 = ADDRESS.to_owned();
    lab.define(&web).unwrap();
    lab
}

fn hardware(lab: &Lab, arch: Arch) -> Hardware {
    Hardware::new(arch, MAC, lab.link(MAC).unwrap()).unwrap().with_blank_disk(4).unwrap()
}

/// UEFI tries IPv4 first, and waits a minute for an answer; so does iPXE.
const LIMIT: Duration = limits::BOOT.saturating_mul(2);

const ADDRESS: &str = "fd77::50";

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0xb0]);
