//! Debian's own installer, started by the profile that is shipped.

use lab_model::{Arch, Definition, FetchedFile, MacAddr, Phase, Stage, What};
use lab_tests::{Archive, Guest, Hardware, Lab, Service};

use crate::{
    images,
    limits::{BOOT, INSTALL},
};

#[test]
fn debians_installer_asks_nobody_on_aarch64() {
    asks_nobody(Arch::Aarch64);
}

#[test]
fn debians_installer_asks_nobody_on_x86_64() {
    asks_nobody(Arch::X86_64);
}

/// The mirror has what Debian's archive signs and lists, and no package. The installer asks for the first one only if it has all
/// answers until then, and took the mirror for an authentic one.
fn asks_nobody(arch: Arch) {
    let supplies = images::supplies();
    let image = supplies.images.join(IMAGE).join(arch.as_str());
    let lab = Lab::start(Service::Network, &supplies).unwrap();
    let archive = Archive::serve(&image.join("archive")).unwrap();
    let profile = "debian-preseed".parse().unwrap();
    lab.profile(&profile, PROFILE).unwrap();
    let console = if arch == Arch::X86_64 { "console=ttyS0,115200" } else { "" };
    let vars = [("mirror", archive.host()), ("arguments", console.to_owned())];
    let definition = Definition {
        pxeboot: true,
        profile: Some(profile),
        vars: vars.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ..Definition::new("web".parse().unwrap(), arch, MAC)
    };
    lab.define(&definition).unwrap();
    let hardware = Hardware::new(arch, MAC, lab.link(MAC).unwrap()).unwrap().with_blank_disk(4).unwrap();

    let _guest = Guest::power_on(&hardware).unwrap();

    assert_eq!(lab.wait_for_script(MAC, BOOT).unwrap(), "installer");
    lab.wait_for_event(MAC, BOOT, fetches(FetchedFile::Initrd)).unwrap();
    lab.wait_for_event(MAC, INSTALL, |what| reports(what, Phase::Config)).unwrap();
    archive.wait_for(INSTALL, |path| path.ends_with(".udeb")).unwrap();
    let machine = lab.machine(MAC).unwrap().unwrap();
    assert_eq!((machine.stage, machine.failure), (Some(Stage::Installer), None));
    println!("{arch}:\n{}", lab.timeline());
}

fn fetches(wanted: FetchedFile) -> impl Fn(&What) -> Option<()> {
    move |what| matches!(what, What::Fetch { file, .. } if *file == wanted).then_some(())
}

fn reports(what: &What, phase: Phase) -> Option<()> {
    matches!(what, What::Installer(report) if report.phase == phase).then_some(())
}

/// As `cargo xtask test` prepares it, with a part of Debian's archive beside it.
const IMAGE: &str = "debian-12-netboot";

const PROFILE: &[(&str, &str)] = &[
    ("profile.toml", include_str!("../../docs/examples/profiles/debian-preseed/profile.toml")),
    ("preseed.cfg.j2", include_str!("../../docs/examples/profiles/debian-preseed/preseed.cfg.j2")),
    ("report.j2", include_str!("../../docs/examples/profiles/debian-preseed/report.j2")),
];

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x91]);
