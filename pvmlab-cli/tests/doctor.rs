//! `pvmlab doctor`.

mod bench;

use std::os::unix::fs::PermissionsExt as _;

use bench::Lab;

const PROGRAMS: [&str; 6] = ["qemu-img", "ssh", "ssh-keygen", "ps", "qemu-system-aarch64", "qemu-system-x86_64"];

#[test]
fn a_good_lab_has_nothing_to_mend() {
    let lab = Lab::with_provisioner().with_programs(&PROGRAMS);

    insta::assert_snapshot!("good", run(&lab));
}

#[test]
fn a_bare_host_is_told_everything_that_it_lacks() {
    let lab = Lab::without_home().with_programs(&["qemu-system-aarch64", "qemu-system-x86_64"]);

    insta::assert_snapshot!("bare", run(&lab));
}

#[test]
fn what_broke_in_a_lab_is_found() {
    let lab = Lab::with_provisioner().with_programs(&PROGRAMS);
    lab.write("vms/bad.json", "{");
    std::fs::remove_file(lab.home().join("vms/provisioner.qcow2")).expect("removed");
    std::fs::remove_file(lab.home().join("images/debian-12/aarch64/vmlinuz")).expect("removed");
    let key = lab.home().join("ssh/id_ed25519");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("set");

    insta::assert_snapshot!("broken", run(&lab));
}

#[test]
fn findings_are_data() {
    let lab = Lab::with_provisioner().with_programs(&PROGRAMS);

    let findings: serde_json::Value =
        serde_json::from_slice(&lab.output(&["doctor", "--json"]).stdout).expect("a JSON document");

    let findings = findings.as_array().expect("a list");
    assert!(findings.iter().all(|finding| finding["check"].is_string() && finding["state"].is_string()));
}

#[test]
fn a_port_in_use_and_a_wrong_accelerator_are_found() {
    let lab = Lab::with_provisioner().with_programs(&PROGRAMS);
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = holder.local_addr().expect("bound").port();
    let definition = lab.home().join("vms/provisioner.json");
    let text = std::fs::read_to_string(&definition).expect("read");
    lab.write("vms/provisioner.json", &text.replacen('{', &format!("{{\n  \"ssh_port\": {port},"), 1));
    let mut doctor = lab.command(&["doctor"]);

    let output = doctor.env("PVMLAB_QEMU_ACCEL", "hvf").output().expect("it runs");

    let said = lab.transcript(&["doctor"], &output).replace(&port.to_string(), "PORT");
    insta::assert_snapshot!("port_and_accelerator", without_host(&said));
}

/// As [`Lab::run`], without what differs from host to host.
fn run(lab: &Lab) -> String {
    let output = lab.command(&["doctor"]).env("PVMLAB_QEMU_ACCEL", "tcg").output().expect("it runs");
    without_host(&lab.transcript(&["doctor"], &output))
}

/// How much space there is, which version QEMU has and where its firmware lies differs.
fn without_host(said: &str) -> String {
    let lines = said.lines().filter(|line| !line.contains("GiB free") && !line.starts_with("space: "));
    // What is as wide as the widest may be another line's, which is not shown.
    let lines = lines
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("  "));
    let lines = lines.map(|line| match (line.split_once(", version "), line.find("/usr/share/")) {
        (Some((line, _)), _) => format!("{line}, version VERSION\n"),
        (None, Some(at)) => format!("{}/usr/share/…\n", &line[..at]),
        (None, None) => format!("{line}\n"),
    });
    lines.collect()
}
