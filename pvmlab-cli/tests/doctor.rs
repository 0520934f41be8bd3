//! `pvmlab doctor`.

mod bench;

use std::os::unix::fs::PermissionsExt as _;

use bench::Lab;

const PROGRAMS: [&str; 6] = ["qemu-img", "ssh", "ssh-keygen", "ps", "qemu-system-aarch64", "qemu-system-x86_64"];

#[test]
fn a_good_lab_has_nothing_to_mend() {
    let lab = Lab::with_provisioner().with_programs(&PROGRAMS);

    insta::assert_snapshot!("good", without_space(&lab.run(&["doctor"])));
}

#[test]
fn a_bare_host_is_told_everything_that_it_lacks() {
    let lab = Lab::without_home().with_programs(&["qemu-system-aarch64", "qemu-system-x86_64"]);

    insta::assert_snapshot!("bare", without_space(&lab.run(&["doctor"])));
}

#[test]
fn what_broke_in_a_lab_is_found() {
    let lab = Lab::with_provisioner().with_programs(&PROGRAMS);
    lab.write("vms/bad.json", "{");
    std::fs::remove_file(lab.home().join("vms/provisioner.qcow2")).expect("removed");
    std::fs::remove_file(lab.home().join("images/debian-12/aarch64/vmlinuz")).expect("removed");
    let key = lab.home().join("ssh/id_ed25519");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("set");

    insta::assert_snapshot!("broken", without_space(&lab.run(&["doctor"])));
}

#[test]
fn findings_are_data() {
    let lab = Lab::with_provisioner().with_programs(&PROGRAMS);

    let findings: serde_json::Value =
        serde_json::from_slice(&lab.output(&["doctor", "--json"]).stdout).expect("a JSON document");

    let findings = findings.as_array().expect("a list");
    assert!(findings.iter().all(|finding| finding["check"].is_string() && finding["state"].is_string()));
}

/// How much space there is differs from host to host.
fn without_space(said: &str) -> String {
    let lines = said.lines().filter(|line| !line.contains("GiB free") && !line.starts_with("space: "));
    lines.map(|line| format!("{line}\n")).collect()
}
