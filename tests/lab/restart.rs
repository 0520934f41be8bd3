//! An installation that is interrupted.

use lab_model::{Arch, MacAddr, Phase, What};
use lab_tests::{Guest, Hardware, Lab, Service};

use crate::{
    images,
    limits::{BOOT, INSTALL},
};

#[test]
fn an_installation_survives_a_restart_of_the_server() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();
    lab.define(&lab.target("web".parse().unwrap(), Arch::X86_64, MAC, images::name())).unwrap();
    let hardware = Hardware::new(Arch::X86_64, MAC, lab.link(MAC).unwrap()).unwrap().with_blank_disk(4).unwrap();

    let _guest = Guest::power_on(&hardware).unwrap();
    lab.wait_for_event(MAC, BOOT, |what| writes(what).filter(|percent| *percent >= 10)).unwrap();
    lab.restart_server().unwrap();
    lab.wait_for_event(MAC, INSTALL, |what| done(what, Phase::Boot)).unwrap();

    let events = lab.events().unwrap();
    let starts = events.iter().filter(|event| done(&event.what, Phase::Start).is_some()).count();
    assert_eq!(starts, 1, "it went on where it was");
}

#[test]
fn an_installation_survives_a_pulled_cable() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();
    lab.define(&lab.target("web".parse().unwrap(), Arch::X86_64, MAC, images::name())).unwrap();
    let hardware = Hardware::new(Arch::X86_64, MAC, lab.link(MAC).unwrap()).unwrap().with_blank_disk(4).unwrap();

    let guest = Guest::power_on(&hardware).unwrap();
    guest.console().wait_for("pvmlab-installer: write:", BOOT).unwrap();
    guest.cable(false).unwrap();
    guest.console().wait_for("; going on at ", INSTALL).unwrap();
    guest.cable(true).unwrap();
    lab.wait_for_event(MAC, INSTALL, |what| done(what, Phase::Boot)).unwrap();

    let failures = lab.events().unwrap().into_iter().filter(|event| {
        let What::Installer(report) = &event.what else { return false };
        report.failure.is_some()
    });
    assert_eq!(failures.count(), 0, "{}", lab.timeline());
}

#[test]
fn an_installation_survives_a_power_failure_of_the_machine() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();
    lab.define(&lab.target("web".parse().unwrap(), Arch::X86_64, MAC, images::name())).unwrap();
    let hardware = Hardware::new(Arch::X86_64, MAC, lab.link(MAC).unwrap()).unwrap();
    // All that a machine needs for being installed.
    let hardware = hardware.with_memory(512).with_blank_disk(4).unwrap();

    let guest = Guest::power_on(&hardware).unwrap();
    guest.console().wait_for("pvmlab-installer: write:  20 %", BOOT).unwrap();
    drop(guest);
    let _guest = Guest::power_on(&hardware).unwrap();
    lab.wait_for_event(MAC, BOOT + INSTALL, |what| done(what, Phase::Boot)).unwrap();

    let went_on = lab.events().unwrap().iter().any(|event| {
        let What::Installer(report) = &event.what else { return false };
        report.detail.as_ref().is_some_and(|detail| detail.starts_with("going on, "))
    });
    assert!(went_on, "{}", lab.timeline());
}

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x40]);

fn writes(what: &What) -> Option<u8> {
    match what {
        What::Installer(report) if report.phase == Phase::Write => report.percent,
        _ => None,
    }
}

fn done(what: &What, phase: Phase) -> Option<()> {
    matches!(what, What::Installer(report) if report.phase == phase && report.failure.is_none()).then_some(())
}
