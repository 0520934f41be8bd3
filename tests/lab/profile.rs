//! Machines that boot what their profile says.

use std::{fs::File, io::Read as _};

use lab_model::{Arch, Definition, MacAddr, Once, Stage, What};
use lab_tests::{Guest, Hardware, Lab, Service};

use crate::{
    images,
    limits::{BOOT, INSTALL, SYSTEM},
};

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
    let shell = "shell".parse().unwrap();
    lab.profile(&shell, &[("profile.toml", SHELL)]).unwrap();
    let definition = Definition {
        distro: Some(images::name()),
        once: Some(Once { profile: shell, number: 1 }),
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

#[test]
fn a_machine_that_nobody_defined_boots_the_kernel_that_its_class_has_for_it() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();
    let profile = format!("{SHELL}image = '{}'\n", images::name());
    lab.profile(&"shell".parse().unwrap(), &[("profile.toml", &profile)]).unwrap();
    let members = "vendor-class = 'PXEClient:Arch:00007*'\nmac = ['52:54:00:77']";
    lab.configure(&format!("[[dhcp.class]]\nname = 'new'\n{members}\nprofile = 'shell'\n")).unwrap();
    let hardware = Hardware::new(Arch::X86_64, MAC, lab.link(MAC).unwrap()).unwrap();

    let guest = Guest::power_on(&hardware).unwrap();

    guest.console().wait_for("(initramfs)", BOOT).unwrap();
    assert_eq!(lab.wait_for_script(MAC, BOOT).unwrap(), "live");
    assert_eq!(lab.machine(MAC).unwrap().unwrap().class.as_deref(), Some("new"));
}

#[test]
fn a_machine_runs_its_images_system_in_memory_and_leaves_its_disk_alone() {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();
    let rescue = "rescue".parse().unwrap();
    lab.profile(&rescue, &[("profile.toml", RESCUE)]).unwrap();
    let target = lab.target("web".parse().unwrap(), Arch::X86_64, MAC, images::name());
    lab.define(&Definition { profile: Some(rescue), ..target }).unwrap();
    let link = lab.link(MAC).unwrap();
    let hardware =
        Hardware::new(Arch::X86_64, MAC, link.clone()).unwrap().with_memory(2048).with_blank_disk(1).unwrap();

    let _guest = Guest::power_on(&hardware).unwrap();
    let up = lab.wait_for_stage(MAC, Stage::Up, BOOT + INSTALL + SYSTEM).unwrap();
    let login = lab.login(&up, &link).unwrap();

    assert_eq!(lab.wait_for_script(MAC, BOOT).unwrap(), "memory");
    assert_eq!(login.run("hostname; findmnt --noheadings --output SOURCE /").unwrap(), "web\n/dev/loop0p1\n");
    let mut disk = Vec::new();
    File::open(hardware.first_disk().unwrap()).unwrap().take(1 << 20).read_to_end(&mut disk).unwrap();
    assert!(disk.iter().all(|byte| *byte == 0), "its disk is as blank as it was");
}

/// As they are shipped.
const SHELL: &str = include_str!("../../docs/examples/profiles/shell/profile.toml");
const RESCUE: &str = include_str!("../../docs/examples/profiles/rescue/profile.toml");

const SCRIPT: &str = "#!ipxe\necho {{ machine.name }} chose what was written for it\nsleep 600\n";

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x90]);
