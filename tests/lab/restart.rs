//! A server that dies in the middle of an installation.

use lab_model::{Arch, FetchedFile, MacAddr, Phase, What};
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
    let whole = images::disk(Arch::X86_64).size;
    let sent_whole = events
        .iter()
        .any(|event| matches!(event.what, What::Fetch { file: FetchedFile::Disk, bytes } if bytes == whole));
    assert!(!sent_whole, "the part that it had was not sent again");
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
