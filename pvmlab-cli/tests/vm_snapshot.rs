//! `pvmlab vm snapshot`, `snapshots`, `restore` and `clone`.

mod bench;

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bench::Lab;

#[test]
fn a_machine_becomes_again_what_it_was() {
    let lab = with_machine();
    write(&lab, "web", 1);
    lab.write("vms/web-vars.fd", "first");
    let taken = lab.run(&["vm", "snapshot", "web", "before-upgrade"]);
    write(&lab, "web", 2);
    lab.write("vms/web-vars.fd", "second");

    let said = [
        taken,
        lab.run(&["vm", "snapshot", "web", "before-upgrade"]),
        without_times(&lab.run(&["vm", "snapshots", "web"])),
        without_times(&lab.run(&["vm", "snapshots", "web", "--json"])),
        lab.run(&["vm", "restore", "web", "gone"]),
        lab.run(&["vm", "restore", "web", "before-upgrade"]),
    ];
    assert!(holds(&lab, "web", 1));
    assert_eq!(std::fs::read(lab.home().join("vms/web-vars.fd")).expect("there"), b"first");

    // It can be restored again and again, until it is removed.
    write(&lab, "web", 3);
    let again = [
        lab.run(&["vm", "restore", "web", "before-upgrade"]),
        lab.run(&["vm", "snapshots", "web", "--remove", "before-upgrade"]),
        lab.run(&["vm", "snapshots", "web"]),
        lab.run(&["vm", "restore", "web", "before-upgrade"]),
    ];
    assert!(holds(&lab, "web", 1));
    insta::assert_snapshot!("snapshots", [said.join("\n"), again.join("\n")].join("\n"));
    assert!(lab.run(&["vm", "clean", "web"]).ends_with("[exit 0]\n"));
    assert!(!lab.files().iter().any(|file| file.contains("web")), "{:?}", lab.files());
}

#[test]
fn a_snapshot_that_nobody_names_has_the_time_as_its_name() {
    let lab = with_machine();

    let said = lab.run(&["vm", "snapshot", "web"]);

    let name = said.split('`').nth(1).expect("a name");
    assert_eq!((name.len(), name.as_bytes()[8]), (15, b'-'), "{said}");
    assert!(lab.run(&["vm", "restore", "web", name]).ends_with("[exit 0]\n"));
}

#[test]
fn what_cannot_be_done_is_refused_and_leaves_nothing() {
    let lab = with_machine();
    let before = lab.files();

    let said = [
        lab.run(&["vm", "snapshot", "gone"]),
        lab.run(&["vm", "snapshot", "web", "1"]),
        lab.run(&["vm", "snapshots", "web", "--remove", "a"]),
        lab.run(&["vm", "clone", "web", "web"]),
        lab.run(&["vm", "clone", "gone", "web-2"]),
        lab.run(&["vm", "clone", "provisioner", "p-2"]),
        lab.run(&["vm", "clone", "web", "web-2", "--ip", "10.78.0.9"]),
        lab.run(&["vm", "clone", "web", "web-2", "--ip", "10.77.0.9/16"]),
    ];

    insta::assert_snapshot!("refused", said.join("\n"));
    assert_eq!(lab.files(), before);
}

#[test]
fn a_clone_begins_with_the_disk_and_is_somebody_else() {
    let lab = with_machine();
    write(&lab, "web", 5);
    lab.write("vms/web-vars.fd", "variables");
    lab.run(&["vm", "snapshot", "web", "old"]);

    let said = [
        lab.run(&["vm", "clone", "web", "web-2", "--mac", "52:54:00:00:00:22"]),
        lab.run(&["vm", "list"]),
        lab.run(&["vm", "snapshots", "web-2"]),
    ];

    insta::assert_snapshot!("cloned", said.join("\n"));
    insta::assert_snapshot!("files", lab.files().join("\n"));
    assert!(holds(&lab, "web-2", 5) && holds(&lab, "web", 5));
    assert_eq!(std::fs::read(lab.home().join("vms/web-2-vars.fd")).expect("there"), b"variables");
    let meta_data = std::fs::read_to_string(lab.home().join("configs/cloud-init/web-2/meta-data")).expect("there");
    assert!(meta_data.contains("instance-id: \"web-2-") && meta_data.contains("\"web-2\"\n"), "{meta_data}");
    write(&lab, "web-2", 6);
    assert!(holds(&lab, "web", 5), "the original is left alone");
}

#[test]
fn a_clone_of_an_overlay_is_laid_over_the_same_disk() {
    let lab = Lab::with_provisioner();
    lab.run(&["vm", "create", "db", "--arch", "aarch64", "--mac", "52:54:00:00:00:02", "--memory", "512"]);

    let said = lab.run(&["vm", "clone", "db", "db-2"]);

    assert!(said.ends_with("[exit 0]\n"), "{said}");
    let base = |name: &str| {
        let output = Command::new("qemu-img").args(["info", "--output=json"]).arg(disk(&lab, name)).output();
        let info: serde_json::Value = serde_json::from_slice(&output.expect("it runs").stdout).expect("JSON");
        info["backing-filename"].as_str().map(str::to_owned).expect("laid over another")
    };
    assert_eq!(base("db-2"), base("db"));
    let hardware = std::fs::read_to_string(lab.home().join("configs/hardware/db-2.json")).expect("there");
    assert!(hardware.contains("\"memory-mib\": 512"), "{hardware}");
}

#[test]
fn ctrl_c_leaves_no_half_of_a_clone() {
    let lab = with_machine();
    let before = lab.files();
    let started = lab.folder().join("started");
    assert!(Command::new("mkfifo").arg(&started).status().expect("it runs").success());
    let path = path_with_qemu_img(&lab, &format!("echo > '{}'\nexec sleep 1000", started.display()));
    let mut command = lab.command(&["vm", "clone", "web", "web-2"]);
    command.env("PATH", path).process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());

    let child = command.spawn().expect("it runs");
    // Opening a pipe for reading waits for who writes to it.
    std::fs::read(&started).expect("started");
    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");

    let said = lab.transcript(&["vm", "clone", "…"], &output);
    assert_eq!(said, "$ pvmlab vm clone …\nerror: interrupted: nothing was changed\n[exit 130]\n");
    assert_eq!(lab.files(), before);
}

#[test]
fn ctrl_c_meanwhile_leaves_a_whole_snapshot() {
    let lab = with_machine();
    write(&lab, "web", 1);
    lab.write("vms/web-vars.fd", "first");

    let said = interrupted_meanwhile(&lab, &["vm", "snapshot", "web", "a"]);

    assert_eq!(said, "$ pvmlab vm snapshot web a\ntook snapshot `a` of `web`\n[exit 0]\n");
    write(&lab, "web", 2);
    lab.write("vms/web-vars.fd", "second");
    assert!(lab.run(&["vm", "restore", "web", "a"]).ends_with("[exit 0]\n"));
    assert!(holds(&lab, "web", 1));
    assert_eq!(std::fs::read(lab.home().join("vms/web-vars.fd")).expect("there"), b"first");
}

#[test]
fn ctrl_c_meanwhile_leaves_nothing_half_restored() {
    let lab = with_machine();
    write(&lab, "web", 1);
    lab.write("vms/web-vars.fd", "first");
    lab.run(&["vm", "snapshot", "web", "a"]);
    write(&lab, "web", 2);
    lab.write("vms/web-vars.fd", "second");

    let said = interrupted_meanwhile(&lab, &["vm", "restore", "web", "a"]);

    assert_eq!(said, "$ pvmlab vm restore web a\n`web` is as it was at snapshot `a`\n[exit 0]\n");
    assert!(holds(&lab, "web", 1));
    assert_eq!(std::fs::read(lab.home().join("vms/web-vars.fd")).expect("there"), b"first");
}

#[test]
fn a_snapshot_that_fails_leaves_nothing() {
    let lab = with_machine();
    lab.write("vms/web-vars.fd", "first");
    let before = lab.files();
    let path = path_with_qemu_img(&lab, "if [ \"$1\" = snapshot ]; then echo 'No space left' >&2; exit 1; fi");

    let output = lab.command(&["vm", "snapshot", "web", "a"]).env("PATH", path).output().expect("it runs");

    let said = lab.transcript(&["vm", "snapshot", "…"], &output);
    assert!(said.contains("No space left") && said.ends_with("[exit 5]\n"), "{said}");
    assert_eq!(lab.files(), before);
}

/// Runs a command; Ctrl-C comes to its process group when its `qemu-img snapshot` has started and not done anything.
fn interrupted_meanwhile(lab: &Lab, arguments: &[&str]) -> String {
    let [started, go] = ["started", "go"].map(|name| {
        let pipe = lab.folder().join(name);
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
        pipe
    });
    let wait = format!("echo > '{}'; read -r < '{}'", started.display(), go.display());
    let mut command = lab.command(arguments);
    command.env("PATH", path_with_qemu_img(lab, &format!("if [ \"$1\" = snapshot ]; then {wait}; fi")));
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Open for both, a pipe waits for nobody: neither this test nor who reads it can hang.
    let mut go = std::fs::File::options().read(true).write(true).open(go).expect("opened");

    let child = command.spawn().expect("it runs");
    // Opening a pipe for reading waits for who writes to it.
    std::fs::read(&started).expect("started");
    interrupt(&child);
    go.write_all(b"\n").expect("written");
    lab.transcript(arguments, &child.wait_with_output().expect("it ends"))
}

/// Ctrl-C, as a terminal sends it: to the whole process group.
fn interrupt(child: &Child) {
    let group = format!("-{}", child.id());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().expect("it runs").success());
}

/// A search path with a `qemu-img` that does something before it becomes the real one.
fn path_with_qemu_img(lab: &Lab, before: &str) -> String {
    let bin = lab.folder().join("slow");
    std::fs::create_dir(&bin).expect("made");
    let path = std::env::var("PATH").expect("a path");
    let script = format!("#!/bin/bash\n{before}\nPATH='{path}' exec qemu-img \"$@\"\n");
    std::fs::write(bin.join("qemu-img"), script).expect("written");
    std::fs::set_permissions(bin.join("qemu-img"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    format!("{}:{path}", bin.display())
}

/// A lab with a machine `web` whose disk is small.
fn with_machine() -> Lab {
    let lab = Lab::with_provisioner();
    let arguments = ["vm", "create", "web", "--arch", "aarch64", "--pxeboot", "--mac", "52:54:00:00:00:02"];
    assert!(lab.output(&[&arguments[..], &["--disk-size", "8M"]].concat()).status.success());
    lab
}

/// Fills the beginning of a machine's disk with one byte.
fn write(lab: &Lab, machine: &str, byte: u8) {
    assert!(qemu_io(&disk(lab, machine), &format!("write -P {byte} 0 64k")).success());
}

/// Whether it begins with that byte.
fn holds(lab: &Lab, machine: &str, byte: u8) -> bool {
    qemu_io(&disk(lab, machine), &format!("read -P {byte} 0 64k")).success()
}

fn qemu_io(disk: &Path, command: &str) -> std::process::ExitStatus {
    let mut qemu_io = Command::new("qemu-io");
    qemu_io.args(["-f", "qcow2", "-c", command]).arg(disk).stdout(Stdio::null()).status().expect("it runs")
}

fn disk(lab: &Lab, machine: &str) -> std::path::PathBuf {
    lab.home().join("vms").join(format!("{machine}.qcow2"))
}

/// The year stands for the whole time.
fn without_times(text: &str) -> String {
    let words = text.split_inclusive([' ', '\n', '"']);
    let is_time = |word: &str| word.len() > 19 && word.starts_with("20") && word.as_bytes()[10] == b'T';
    words.map(|word| if is_time(word) { format!("<time>{}", &word[20..]) } else { word.to_owned() }).collect()
}
