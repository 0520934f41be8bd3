//! A provisioner whose kernel has 9p: it reads the host's own folders, and nothing is copied to it.

use std::time::Duration;

use lab_model::Arch;
use lab_tests::{Supplies, VirtualLab, process::until};
use serde_json::Value;

#[test]
fn the_hosts_folders_are_mounted_where_the_kernel_has_9p() {
    let supplies = Supplies::from_environment().unwrap();
    let lab = VirtualLab::new(&supplies).unwrap();
    lab.succeed(QUICK, &["setup"]).unwrap();
    let image = lab.image(&supplies, &"debian-12-generic".parse().unwrap(), Arch::X86_64).unwrap();
    lab.succeed(COPY, &["distro", "add", image.to_str().unwrap()]).unwrap();
    let create = ["provisioner", "create", "provisioner", "--ip", "192.168.105.1/24", "--arch", "x86_64"];
    lab.succeed(COPY, &[&create[..], &["--memory", "1024"]].concat()).unwrap();

    lab.succeed(START, &["vm", "start", "provisioner", "--wait"]).unwrap();

    let doctor = lab.run(QUICK, &["doctor", "--json"]).unwrap();
    let findings: Vec<Value> = serde_json::from_slice(&doctor.stdout).unwrap();
    let files = findings.iter().find(|finding| finding["check"] == "files").unwrap();
    assert_eq!(files["found"], "`provisioner` mounts definitions and images over 9p");
    assert_eq!(health(&lab)["images"], 1);

    // A file system over 9p says nothing of what the host changes: the server sees it all the same, soon.
    let before = health(&lab)["machines"].as_u64().unwrap();
    lab.succeed(COPY, &["vm", "create", "web", "--pxeboot", "--arch", "x86_64", "--disk-size", "4G"]).unwrap();
    let seen = until(SEEN, || Ok((health(&lab)["machines"] == before + 1).then_some(()))).unwrap();
    assert!(seen.is_some(), "the server does not see the new definition:\n{}", lab.logs());
}

/// What the provisioner's server says of itself.
fn health(lab: &VirtualLab) -> Value {
    let status = lab.succeed(SSH, &["provisioner", "status", "--json"]).unwrap();
    let mut status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["share"], "9p", "{status}");
    status["health"].take()
}

// Several times what an idle machine of two cores needs under emulation.
const QUICK: Duration = Duration::from_secs(60);
const COPY: Duration = Duration::from_secs(300);
const START: Duration = Duration::from_secs(900);
const SSH: Duration = Duration::from_secs(300);
const SEEN: Duration = Duration::from_secs(300);
