//! A machine that goes on by TLS once iPXE runs, with the lab's own authority.

use lab_model::{Arch, FetchedFile, MacAddr, What};
use lab_tests::{Guest, Hardware, Lab, Service};

use crate::{images, limits::BOOT};

#[test]
fn ipxe_believes_the_labs_authority_and_starts_a_kernel_that_came_by_tls() {
    let lab = Lab::start(Service::Tls, &images::supplies()).unwrap();
    lab.define(&lab.target("safe".parse().unwrap(), Arch::X86_64, MAC, images::name())).unwrap();
    let hardware = Hardware::new(Arch::X86_64, MAC, lab.link(MAC).unwrap()).unwrap().with_blank_disk(4).unwrap();

    let guest = Guest::power_on(&hardware).unwrap();

    assert_eq!(lab.wait_for_script(MAC, BOOT).unwrap(), "install");
    guest.console().wait_for("https://10.77.0.1/ipxe... ok", BOOT).unwrap();
    let fetched =
        |file| move |what: &What| matches!(what, What::Fetch { file: done, .. } if *done == file).then_some(());
    lab.wait_for_event(MAC, BOOT, fetched(FetchedFile::Installer)).unwrap();
    guest.console().wait_for("https://10.77.0.1/images/debian-12/x86_64/vmlinuz", BOOT).unwrap();
    guest.console().wait_for("Linux version", BOOT).unwrap();
}

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0xc0]);
