//! Machines whose addresses another DHCP server gives, one that knows nothing of any boot.

use lab_model::{Arch, FetchedFile, MacAddr, Stage, What};
use lab_tests::{Dnsmasq, Guest, Hardware, Lab, Service};

use crate::{images, limits::BOOT};

#[test]
fn x86_64_uefi_asks_the_boot_server_and_reaches_the_installers_kernel() {
    asks_the_boot_server(Arch::X86_64);
}

#[test]
fn aarch64_uefi_asks_the_boot_server_and_reaches_the_installers_kernel() {
    asks_the_boot_server(Arch::Aarch64);
}

fn asks_the_boot_server(arch: Arch) {
    let lab = Lab::start(Service::Proxy, &images::supplies()).unwrap();
    let _other = Dnsmasq::elsewhere().unwrap();
    lab.define(&lab.target("new".parse().unwrap(), arch, UEFI, images::name())).unwrap();
    let hardware = Hardware::new(arch, UEFI, lab.link(UEFI).unwrap()).unwrap();

    let _guest = Guest::power_on(&hardware).unwrap();

    assert_eq!(lab.wait_for_script(UEFI, BOOT).unwrap(), "install");
    let machine = lab.wait_for_stage(UEFI, Stage::Kernel, BOOT).unwrap();
    assert_eq!(machine.address_from, Some(Dnsmasq::ADDRESS));
}

#[test]
fn uefi_that_boots_by_http_takes_the_url_of_the_offer() {
    let lab = Lab::start(Service::Proxy, &images::supplies()).unwrap();
    let _other = Dnsmasq::elsewhere().unwrap();
    lab.define(&lab.target("new".parse().unwrap(), Arch::X86_64, UEFI, images::name())).unwrap();
    let hardware = Hardware::new(Arch::X86_64, UEFI, lab.link(UEFI).unwrap()).unwrap().with_http_boot();

    let _guest = Guest::power_on(&hardware).unwrap();

    assert_eq!(lab.wait_for_script(UEFI, BOOT).unwrap(), "install");
    let events: Vec<_> = lab.events().unwrap().into_iter().map(|event| event.what).collect();
    let program = |what: &What| matches!(what, What::Fetch { file: FetchedFile::BootProgram, .. });
    assert!(events.iter().any(program), "{events:?}");
    assert!(!events.iter().any(|what| matches!(what, What::Transfer { .. })), "no TFTP: {events:?}");
    assert_eq!(lab.machine(UEFI).unwrap().unwrap().address_from, Some(Dnsmasq::ADDRESS));
}

#[test]
fn a_bios_takes_the_boot_file_of_the_offer_and_ipxe_its_script() {
    let lab = Lab::start(Service::Proxy, &images::supplies()).unwrap();
    let _other = Dnsmasq::elsewhere().unwrap();
    lab.define(&lab.target("old".parse().unwrap(), Arch::X86_64, BIOS, images::name())).unwrap();
    let hardware = Hardware::new(Arch::X86_64, BIOS, lab.link(BIOS).unwrap()).unwrap().with_bios();

    let mut guest = Guest::power_on(&hardware).unwrap();
    // No other ROM is to be had here: this one asks as if it were not iPXE, and does what it is told.
    guest.console().wait_for("Press Ctrl-B for", BOOT).unwrap();
    guest.press('\x02').unwrap();
    guest.type_line("iPXE> ", "set user-class other", BOOT).unwrap();
    guest.type_line("iPXE> ", "autoboot", BOOT).unwrap();

    let program = |what: &What| match what {
        What::Transfer { file, .. } => Some(file.clone()),
        _ => None,
    };
    assert_eq!(lab.wait_for_event(BIOS, BOOT, program).unwrap(), "undionly.kpxe");
    assert_eq!(lab.wait_for_script(BIOS, BOOT).unwrap(), "install");
    assert_eq!(lab.machine(BIOS).unwrap().unwrap().address_from, Some(Dnsmasq::ADDRESS));
}

const UEFI: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x49]);
const BIOS: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x4a]);
