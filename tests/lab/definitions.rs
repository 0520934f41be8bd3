//! Definitions that change while the server runs.

use lab_model::{AfterInstall, Arch, Definition, MacAddr};
use lab_tests::{Lab, Service};

use crate::images;

#[test]
fn a_changed_definition_is_in_force_once_it_is_defined() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();
    let first = lab.target("web".parse().unwrap(), Arch::X86_64, MAC, images::name());
    let image = || lab.machine(MAC).unwrap().expect("it is defined").image;

    lab.define(&first).unwrap();
    assert_eq!(image(), Some(images::name()));

    let other = "plan-9".parse().unwrap();
    lab.define(&Definition { distro: Some("plan-9".parse().unwrap()), ..first.clone() }).unwrap();
    assert_eq!(image(), Some(other));

    // The status does not show this one, and the last is no change at all.
    let last = Definition { after_install: AfterInstall::PowerOff, ..first };
    lab.define(&last).unwrap();
    let configuration = lab.fetch(&format!("/config/{MAC}")).unwrap();
    assert!(String::from_utf8_lossy(&configuration).contains("power-off"));
    lab.define(&last).unwrap();
}

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x80]);
