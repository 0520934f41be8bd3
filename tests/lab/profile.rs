//! Machines that boot what their profile says.

use lab_model::{Arch, Definition, MacAddr};
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

const SCRIPT: &str = "#!ipxe\necho {{ machine.name }} chose what was written for it\nsleep 600\n";

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x90]);
