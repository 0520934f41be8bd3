//! From a blank disk to a login: the main job.

use lab_model::{Arch, MacAddr, Phase, Stage, What};
use lab_tests::{Guest, Hardware, Lab, Login, Service, process};
use serde_json::Value;

use crate::{
    images,
    limits::{BOOT, INSTALL, POWER_DOWN, SYSTEM},
};

#[test]
fn a_blank_aarch64_machine_is_installed_and_lets_us_in() {
    installs(Arch::Aarch64);
}

#[test]
fn a_blank_x86_64_machine_is_installed_and_lets_us_in() {
    installs(Arch::X86_64);
}

fn installs(arch: Arch) {
    let lab = Lab::start(Service::Network, &images::supplies()).unwrap();
    lab.define(&lab.target("web".parse().unwrap(), arch, MAC, images::name())).unwrap();
    let link = lab.link(MAC).unwrap();
    let hardware = Hardware::new(arch, MAC, link.clone()).unwrap().with_blank_disk(DISK_GIB).unwrap();

    let guest = Guest::power_on(&hardware).unwrap();
    lab.wait_for_event(MAC, BOOT, |what| is_phase(what, Phase::Config)).unwrap();
    let sent_before = sent_to_machines();
    lab.wait_for_event(MAC, INSTALL, |what| is_phase(what, Phase::Boot)).unwrap();
    let sent = sent_to_machines() - sent_before;
    let up = lab.wait_for_stage(MAC, Stage::Up, SYSTEM).unwrap();
    let login = lab.login(&up, &link).unwrap();

    let first = System::ask(&login);
    assert_eq!(first.host_name, "web");
    assert_eq!(first.authorized_keys, [lab.key().public()]);
    assert_eq!(first.cloud_init_errors, Vec::<String>::new());
    assert!(first.package_sources > 0, "apt has no source");
    let root_gib = first.root_bytes >> 20;
    assert!(root_gib > (DISK_GIB << 10) * 3 / 4, "the root file system has {root_gib} MiB of {DISK_GIB} GiB");
    let refusal = login.refusal_of_password().unwrap();
    assert!(refusal.contains("Permission denied (publickey)"), "{refusal}");
    assert_little_more_than_the_image(arch, sent);
    assert_eq!(lab.machine(MAC).unwrap().and_then(|machine| machine.failure), None);
    assert_frugal(&lab);
    println!("{arch}: {sent} bytes on the wire\n{}", lab.timeline());

    login.run("echo kept > marker; sync").unwrap();
    guest.power_down(POWER_DOWN).unwrap();
    let guest = Guest::power_on(&hardware).unwrap();
    login.wait_for_server(SYSTEM).unwrap();

    let second = System::ask(&login);
    assert_eq!(login.run("cat marker").unwrap(), "kept\n");
    assert_ne!(second.boot_id, first.boot_id);
    assert_eq!(second.cloud_init_errors, Vec::<String>::new());
    let installations =
        lab.events().unwrap().iter().filter(|event| is_phase(&event.what, Phase::Boot).is_some()).count();
    assert_eq!(installations, 1, "installed once");
    assert!(!guest.console().shows("iPXE"), "the disk boots without the network");
}

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x10]);

/// More than twice what the image has.
const DISK_GIB: u64 = 4;

/// What an installed system says of itself.
struct System {
    host_name: String,
    boot_id: String,
    authorized_keys: Vec<String>,
    root_bytes: u64,
    package_sources: u32,
    cloud_init_errors: Vec<String>,
}

impl System {
    /// One login for all questions: under emulation each takes seconds.
    fn ask(login: &Login<'_>) -> Self {
        let answers = login
            .run(
                "set -e; cloud-init status --wait >/dev/null; hostname; cat /proc/sys/kernel/random/boot_id; \
                 df --block-size=1K --output=size / | tail -n 1; tr -d '\\n' </run/cloud-init/result.json; echo; \
                 grep --count '^deb ' /etc/apt/sources.list; cat ~/.ssh/authorized_keys",
            )
            .unwrap();
        let mut lines = answers.lines().map(str::trim);
        let mut next = || lines.next().unwrap_or_else(|| panic!("too few answers: {answers}")).to_owned();
        let (host_name, boot_id) = (next(), next());
        let root_kib: u64 = next().parse().unwrap();
        let result: Value = serde_json::from_str(&next()).unwrap();
        let package_sources = next().parse().unwrap();
        let errors = result["v1"]["errors"].as_array().unwrap();
        Self {
            host_name,
            boot_id,
            authorized_keys: lines.filter(|line| !line.is_empty()).map(str::to_owned).collect(),
            root_bytes: root_kib << 10,
            package_sources,
            cloud_init_errors: errors.iter().map(ToString::to_string).collect(),
        }
    }
}

/// At most 64 MiB: the installer says what it took when it has finished.
fn assert_frugal(lab: &Lab) {
    let detail = lab.wait_for_event(MAC, BOOT, |what| is_phase(what, Phase::Finish)).unwrap().unwrap_or_default();
    let (_, memory) = detail.rsplit_once(", with ").unwrap_or_else(|| panic!("no memory in `{detail}`"));
    let mebibytes: f64 = memory.strip_suffix(" MiB of memory").and_then(|number| number.parse().ok()).unwrap();
    assert!(mebibytes <= 64.0, "{detail}");
}

/// The wire may carry one twentieth more than the compressed image: headers, the seed, reports.
fn assert_little_more_than_the_image(arch: Arch, sent: u64) {
    let image = images::disk(arch).size;
    assert!(sent * 100 <= image * 105, "{sent} bytes were sent for an image of {image}");
}

/// What the namespace's bridge ports have sent to machines so far, in bytes.
fn sent_to_machines() -> u64 {
    let links: Value =
        serde_json::from_str(&process::run("ip", &["-json", "-statistics", "link", "show", "tap0"]).unwrap()).unwrap();
    links[0]["stats64"]["tx"]["bytes"].as_u64().unwrap()
}

pub(crate) fn is_phase(what: &What, wanted: Phase) -> Option<Option<String>> {
    match what {
        What::Installer(report) if report.phase == wanted && report.failure.is_none() => Some(report.detail.clone()),
        _ => None,
    }
}
