//! Machines that boot what their profile says.

use lab_model::{Arch, Definition, MacAddr, Once, What};
use lab_tests::{Guest, Hardware, Lab, Service};

use crate::{images, limits::BOOT};

#[test]
fn a_machine_whose_menu_nobody_answers_boots_its_default() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();
    let (menu, own) = ("menu".parse().unwrap(), "own".parse().unwrap());
    lab.profile(&own, &[("profile.toml", "kind = 'script'\nscript = 'boot.ipxe'"), ("boot.ipxe", SCRIPT)]).unwrap();
    lab.profile(
        &menu,
        &[("profile.toml", "kind = 'menu'\nitems = ['gone', 'own']\ndefault = 'own'\ntimeout-seconds = 2")],
    )
    .unwrap();
    let definition =
        Definition { pxeboot: true, profile: Some(menu), ..Definition::new("web".parse().unwrap(), Arch::X86_64, MAC) };
    lab.define(&definition).unwrap();
    let hardware = Hardware::new(Arch::X86_64, MAC, lab.link(MAC).unwrap()).unwrap();

    let guest = Guest::power_on(&hardware).unwrap();

    guest.console().wait_for("web chose what was written for it", BOOT).unwrap();
    assert_eq!(lab.wait_for_script(MAC, BOOT).unwrap(), "menu");
}

#[test]
fn a_machine_boots_one_time_what_its_definition_has_for_that() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();
    let rescue = "rescue".parse().unwrap();
    lab.profile(&rescue, &[("profile.toml", RESCUE)]).unwrap();
    let definition = Definition {
        distro: Some(images::name()),
        once: Some(Once { profile: rescue, number: 1 }),
        ..Definition::new("web".parse().unwrap(), Arch::X86_64, MAC)
    };
    lab.define(&definition).unwrap();
    let hardware = Hardware::new(Arch::X86_64, MAC, lab.link(MAC).unwrap()).unwrap();

    let guest = Guest::power_on(&hardware).unwrap();
    guest.console().wait_for("(initramfs)", BOOT).unwrap();
    assert_eq!(lab.wait_for_script(MAC, BOOT).unwrap(), "live");

    guest.reset().unwrap();
    let is_local = |what: &What| matches!(what, What::Script { boot } if boot == "local").then_some(());
    lab.wait_for_event(MAC, BOOT, is_local).unwrap();
}

/// As it is shipped.
const RESCUE: &str = include_str!("../../docs/examples/profiles/rescue/profile.toml");

const SCRIPT: &str = "#!ipxe\necho {{ machine.name }} chose what was written for it\nsleep 600\n";

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x90]);
