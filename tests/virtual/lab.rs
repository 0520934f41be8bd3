//! The life of a lab: images from a vendor whose boot loaders read them in different ways, a provisioner, targets of both architectures, deploys good and bad, and nothing left in the end.

use std::time::Duration;

use lab_model::{Arch, Stage};
use lab_tests::{
    Supplies, VirtualLab, outside,
    vendor::{CHECKSUMS, Vendor},
};
use serde_json::Value;

use crate::broken_server;

#[test]
fn a_lab_lives_without_any_privilege() {
    let supplies = Supplies::from_environment().unwrap();
    let lab = VirtualLab::new(&supplies).unwrap();
    let vendor = Vendor::new().unwrap();

    lab.succeed(QUICK, &["setup"]).unwrap();
    let image = lab.image(&supplies, &"debian-12".parse().unwrap(), Arch::Aarch64).unwrap();
    lab.succeed(COPY, &["distro", "add", image.to_str().unwrap()]).unwrap();
    let (boot_partition, entries) = ("debian-12-boot-partition", "debian-12-entries");
    let images = [(boot_partition, Arch::Aarch64), (entries, Arch::X86_64)];
    let entry = |(name, arch): (&str, Arch)| {
        let url = vendor.publish(&supplies, &name.parse().unwrap(), arch).unwrap();
        format!("- name: {name}\n  arch:\n    {arch}:\n      url: {url}\n      checksums: {CHECKSUMS}\n")
    };
    std::fs::write(lab.home().join("distros.yaml"), images.map(entry).concat()).unwrap();
    for (name, arch) in images {
        lab.succeed(PULL, &["distro", "pull", name, "--arch", arch.as_str()]).unwrap();
    }
    provisioner(&lab);
    let outside = outside::serve(PAGE).unwrap();
    target(&lab, "web", "aarch64", boot_partition, &outside);

    deploys(&lab);

    lab.succeed(STOP, &["vm", "stop", "web"]).unwrap();
    target(&lab, "box", "x86_64", entries, &outside);
    lab.succeed(STOP, &["vm", "stop", "box"]).unwrap();
    lab.succeed(STOP, &["vm", "stop", "provisioner"]).unwrap();
    lab.succeed(STOP, &["clean", "--purge"]).unwrap();

    assert_eq!(lab.processes().unwrap(), Vec::<String>::new());
    assert!(!lab.home().exists(), "the home is gone");
}

/// Made, booted, and serving with one small process.
fn provisioner(lab: &VirtualLab) {
    let create = ["provisioner", "create", "provisioner", "--ip", "192.168.105.1/24", "--arch", "aarch64"];
    lab.succeed(COPY, &[&create[..], &["--memory", "1024", "--distro", "debian-12"]].concat()).unwrap();

    lab.succeed(START, &["vm", "start", "provisioner", "--wait"]).unwrap();

    let status: Value = json(lab, &["provisioner", "status", "--json"]);
    assert_eq!(status["service"], "active", "{status}");
    let memory = "for pid in $(pidof pxe-server); do sudo grep ^Pss: /proc/$pid/smaps_rollup; done";
    let memory = lab.succeed(SSH, &["vm", "shell", "provisioner", memory]).unwrap();
    let kibibytes: Vec<u64> =
        memory.lines().map(|line| line.split_whitespace().nth(1).unwrap().parse().unwrap()).collect();
    assert!(matches!(kibibytes[..], [pss] if pss <= 12 << 10), "one process of at most 12 MiB: {memory}");
}

/// Installed over the network; reached by SSH and SCP; reaches the world through the provisioner.
fn target(lab: &VirtualLab, name: &str, arch: &str, image: &str, outside: &str) {
    let create = ["vm", "create", name, "--pxeboot", "--arch", arch, "--distro", image, "--disk-size", "4G"];
    lab.succeed(COPY, &[&create[..], &["--memory", "1024"]].concat()).unwrap();

    lab.succeed(INSTALL, &["vm", "start", name, "--wait"]).unwrap();

    let shell = |command: &str| lab.succeed(SSH, &["vm", "shell", name, command]).unwrap();
    assert_eq!(shell("hostname").trim(), name);
    let exit = lab.run(SSH, &["vm", "shell", name, "exit 7"]).unwrap();
    assert_eq!(exit.status.code(), Some(7), "the command's own exit code");
    assert_eq!(shell(&format!("curl --silent --max-time 60 {outside}")), PAGE);

    let folder = lab.folder("files").unwrap();
    let (there, back) = (folder.join("there"), folder.join("back"));
    std::fs::write(&there, name).unwrap();
    lab.succeed(SSH, &["vm", "copy", there.to_str().unwrap(), &format!("{name}:copied")]).unwrap();
    lab.succeed(SSH, &["vm", "copy", &format!("{name}:copied"), back.to_str().unwrap()]).unwrap();
    assert_eq!(std::fs::read_to_string(&back).unwrap(), name);
}

/// Another build takes over and keeps what is known of machines; builds that do not serve are rolled back.
fn deploys(lab: &VirtualLab) {
    let folder = lab.folder("builds").unwrap();
    let server = lab.server(Arch::Aarch64);
    let (other, torn, ends) = (folder.join("other"), folder.join("torn"), folder.join("ends"));
    broken_server::other_build(&server, &other);
    broken_server::torn(&server, &torn);
    broken_server::that_ends(Arch::Aarch64, &ends);
    let release = || json(lab, &["provisioner", "status", "--json"])["release"].as_str().unwrap().to_owned();
    let first = release();

    lab.succeed(DEPLOY, &["provisioner", "deploy", "--binary", other.to_str().unwrap()]).unwrap();

    let second = release();
    assert_ne!(second, first);
    let status = json(lab, &["status", "--json"]);
    let web = status["machines"].as_array().unwrap().iter().find(|machine| machine["name"] == "web").unwrap();
    assert_eq!(web["stage"], serde_json::to_value(Stage::Up).unwrap(), "its history is kept: {web}");

    for broken in [&torn, &ends] {
        let deploy = lab.run(DEPLOY, &["provisioner", "deploy", "--binary", broken.to_str().unwrap()]).unwrap();
        assert_eq!(deploy.status.code(), Some(1), "{}", String::from_utf8_lossy(&deploy.stderr));
        assert_eq!(release(), second, "rolled back");
    }
    let shell = lab.succeed(SSH, &["vm", "shell", "web", "hostname"]).unwrap();
    assert_eq!(shell.trim(), "web", "the target noticed nothing");
}

fn json(lab: &VirtualLab, arguments: &[&str]) -> Value {
    serde_json::from_str(&lab.succeed(SSH, arguments).unwrap()).unwrap()
}

const PAGE: &str = "from outside the lab";

// Several times what an idle machine of two cores needs under emulation.
const QUICK: Duration = Duration::from_secs(60);
const COPY: Duration = Duration::from_secs(300);
const PULL: Duration = Duration::from_secs(1200);
const START: Duration = Duration::from_secs(900);
const INSTALL: Duration = Duration::from_secs(1500);
const SSH: Duration = Duration::from_secs(300);
const DEPLOY: Duration = Duration::from_secs(600);
const STOP: Duration = Duration::from_secs(300);
