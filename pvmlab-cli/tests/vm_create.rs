//! `pvmlab vm create`.

mod bench;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use bench::Lab;

#[test]
fn a_machine_takes_the_next_free_address() {
    let lab = Lab::with_provisioner();

    let said = [
        lab.run(&["vm", "create", "web", "--arch", "aarch64", "--pxeboot", "--mac", "52:54:00:00:00:02"]),
        lab.run(&["vm", "create", "db", "--arch", "aarch64", "--ipv6", "fd00:77::20", "--mac", "52:54:00:00:00:03"]),
        lab.run(&["vm", "create", "far", "--arch", "aarch64", "--ip", "10.77.0.200/24", "--mac", "52:54:00:00:00:04"]),
        lab.run(&["vm", "list"]),
        lab.run(&["vm", "list", "--json"]),
    ]
    .join("\n");

    insta::assert_snapshot!("made", said);
    insta::assert_snapshot!("files", lab.files().join("\n"));
}

#[test]
fn a_disk_is_blank_or_begins_as_the_images() {
    let lab = Lab::with_provisioner();
    lab.run(&["vm", "create", "web", "--arch", "aarch64", "--pxeboot"]);
    lab.run(&["vm", "create", "db", "--arch", "aarch64", "--disk-size", "3G"]);

    let info = |name: &str| {
        let output =
            Command::new("qemu-img").args(["info", "--output=json"]).arg(lab.home().join("vms").join(name)).output();
        let info: serde_json::Value = serde_json::from_slice(&output.expect("it runs").stdout).expect("JSON");
        (info["virtual-size"].as_u64(), info["backing-filename"].as_str().map(str::to_owned))
    };

    assert_eq!(info("web.qcow2"), (Some(15 << 30), None));
    let (size, base) = info("db.qcow2");
    assert_eq!(size, Some(3 << 30));
    assert!(base.is_some_and(|base| base.starts_with("../images/debian-12/aarch64/base-")));
    let seed = std::fs::read(lab.home().join("configs/cloud-init/db.iso")).expect("a seed");
    assert_eq!(&seed[16 * 2048 + 40..][..6], b"cidata");
}

#[test]
fn what_cannot_be_a_machine_is_refused_and_leaves_nothing() {
    let lab = Lab::with_provisioner();
    lab.run(&[
        "vm",
        "create",
        "web",
        "--arch",
        "aarch64",
        "--pxeboot",
        "--mac",
        "52:54:00:00:00:02",
        "--ipv6",
        "fd00:77::2",
    ]);
    let before = lab.files();
    let create = |name: &str, rest: &[&str]| {
        let arguments = [&["vm", "create", name, "--arch", "aarch64", "--pxeboot"], rest].concat();
        lab.run(&arguments)
    };

    let said = [
        create("web", &[]),
        create("db", &["--mac", "52:54:00:00:00:02"]),
        create("db", &["--ip", "10.77.0.2"]),
        create("db", &["--ip", "10.77.0.1"]),
        create("db", &["--ip", "10.77.0.255"]),
        create("db", &["--ip", "10.78.0.2"]),
        create("db", &["--ip", "10.77.0.9/16"]),
        create("db", &["--ip", "10.77.0"]),
        create("db", &["--ipv6", "fd00:77::2"]),
        create("db", &["--ipv6", "fd00:78::2"]),
        create("db", &["--ipv6", "fd00:77::1"]),
        create("db", &["--disk-size", "1M"]),
        create("db", &["--distro", "ubuntu-24.04"]),
        create("db", &["--memory", "1"]),
        create("-db", &[]),
    ]
    .join("\n");

    insta::assert_snapshot!("refused", said);
    assert_eq!(lab.files(), before);
}

#[test]
fn a_lab_without_provisioner_has_no_network() {
    let lab = Lab::with_image();

    insta::assert_snapshot!("no_provisioner", lab.run(&["vm", "create", "web", "--arch", "aarch64", "--pxeboot"]));
}

#[test]
fn without_qemu_img_it_says_what_to_install() {
    let lab = Lab::with_provisioner().with_programs(&["ps"]);
    let before = lab.files();

    insta::assert_snapshot!("no_qemu_img", lab.run(&["vm", "create", "web", "--arch", "aarch64", "--pxeboot"]));

    assert_eq!(lab.files(), before);
}

#[test]
fn a_disk_that_somebody_left_is_not_overwritten() {
    let lab = Lab::with_provisioner();
    lab.write("vms/web.qcow2", "precious");

    insta::assert_snapshot!("left_disk", lab.run(&["vm", "create", "web", "--arch", "aarch64", "--pxeboot"]));

    assert_eq!(std::fs::read(lab.home().join("vms/web.qcow2")).expect("there"), b"precious");
}

#[test]
fn a_full_disk_leaves_nothing_half_made() {
    let lab = Lab::new();
    let image = lab.image("debian-12", "aarch64");
    lab.run(&["distro", "add", image.to_str().expect("text")]);
    let before = lab.files();

    let mut command = lab.command(&["provisioner", "create", "p", "--ip", "10.77.0.1/24", "--arch", "aarch64"]);
    // What a full disk does, a limit on a file's length does as well.
    let limited = "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"";
    let program = command.get_program().to_owned();
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let environment: Vec<_> =
        command.get_envs().map(|(key, value)| (key.to_owned(), value.map(ToOwned::to_owned))).collect();
    command = Command::new("bash");
    command.args(["-c", limited]).arg(program).args(arguments).current_dir(lab.folder()).stdin(Stdio::null());
    for (key, value) in environment {
        command.env(key, value.expect("set"));
    }

    let output = command.output().expect("it runs");

    insta::assert_snapshot!("full_disk", lab.transcript(&["provisioner", "create", "…"], &output));
    assert_eq!(lab.files(), before);
}

#[test]
fn ctrl_c_leaves_nothing_half_made() {
    let lab = Lab::with_provisioner();
    let before = lab.files();
    // A `qemu-img` that says when it was started, and goes on until it is interrupted.
    let bin = lab.folder().join("slow");
    std::fs::create_dir(&bin).expect("made");
    let started = lab.folder().join("started");
    let status = Command::new("mkfifo").arg(&started).status().expect("it runs");
    assert!(status.success());
    let script = format!(
        "#!/bin/bash\nfor last; do :; done\ntouch \"${{@: -2:1}}\"\necho > '{}'\nexec sleep 1000\n",
        started.display()
    );
    std::fs::write(bin.join("qemu-img"), script).expect("written");
    std::fs::set_permissions(bin.join("qemu-img"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    let mut command = lab.command(&["vm", "create", "web", "--arch", "aarch64", "--pxeboot"]);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path"));
    command.env("PATH", path).process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());

    let child = command.spawn().expect("it runs");
    // Opening a pipe for reading waits for who writes to it.
    std::fs::read(&started).expect("started");
    let group = format!("-{}", child.id());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().expect("it runs").success());
    let output = child.wait_with_output().expect("it ends");

    insta::assert_snapshot!("interrupted", lab.transcript(&["vm", "create", "…"], &output));
    assert_eq!(lab.files(), before);
}
