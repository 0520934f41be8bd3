//! Machines that cannot be installed are told why, on their own console, and so is whoever asks the server.

use lab_model::{Arch, MacAddr, Phase, What};
use lab_tests::{Guest, Hardware, Lab, Service};

use crate::{images, limits::BOOT};

#[test]
fn an_unknown_machine_says_so_on_its_console() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();

    let _guest = says_on_its_console(&lab, "nobody has defined this machine");

    let stranger = lab.machine(MAC).unwrap().expect("the server has seen it");
    assert_eq!(stranger.name, None);
    assert!(stranger.hint.is_some(), "{stranger:?}");
}

#[test]
fn a_machine_whose_image_is_missing_says_so_on_its_console() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();
    lab.define(&lab.target("web".parse().unwrap(), Arch::X86_64, MAC, "plan-9".parse().unwrap())).unwrap();

    let _guest = says_on_its_console(&lab, "web should get the image plan-9");
}

#[test]
fn a_machine_with_two_disks_is_left_alone_until_its_definition_names_one() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();
    lab.define(&lab.target("web".parse().unwrap(), Arch::X86_64, MAC, images::name())).unwrap();
    let hardware = Hardware::new(Arch::X86_64, MAC, lab.link(MAC).unwrap()).unwrap();
    let hardware = hardware.with_blank_disk(4).unwrap().with_blank_disk(4).unwrap();

    let guest = Guest::power_on(&hardware).unwrap();

    let refusal = |what: &What| match what {
        What::Installer(report) if report.phase == Phase::Disk => report.failure.clone(),
        _ => None,
    };
    let reason = lab.wait_for_event(MAC, BOOT, refusal).unwrap();
    assert!(reason.contains("/dev/vda") && reason.contains("/dev/vdb"), "{reason}");
    guest.console().wait_for(&reason, BOOT).unwrap();
    assert_eq!(lab.machine(MAC).unwrap().and_then(|machine| machine.failure), Some(reason));
}

/// The quickest machine to a console: BIOS, whose iPXE is in the option ROM.
fn says_on_its_console(lab: &Lab, text: &str) -> Guest {
    let hardware = Hardware::new(Arch::X86_64, MAC, lab.link(MAC).unwrap()).unwrap().with_bios();
    let guest = Guest::power_on(&hardware).unwrap();
    guest.console().wait_for(text, BOOT).unwrap();
    guest
}

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x30]);
