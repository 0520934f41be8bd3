//! `pvmlab provisioner create`.

mod bench;

use bench::Lab;

#[test]
fn a_provisioner_is_the_labs_network() {
    let lab = Lab::with_image();

    let said = lab.run(&[
        "provisioner",
        "create",
        "p",
        "--ip",
        "10.77.0.1/24",
        "--arch",
        "aarch64",
        "--mac",
        "52:54:00:00:00:01",
        "--memory",
        "1024",
    ]);

    insta::assert_snapshot!("made", said);
    let mut definition: serde_json::Value =
        serde_json::from_slice(&std::fs::read(lab.home().join("vms/p.json")).expect("a definition")).expect("JSON");
    assert!(definition["ssh_key"].as_str().is_some_and(|key| key.starts_with("ssh-ed25519 ")));
    definition["ssh_key"] = "KEY".into();
    insta::assert_snapshot!("definition", format!("{definition:#}"));
    insta::assert_snapshot!("files", lab.files().join("\n"));
}

#[test]
fn what_cannot_be_a_provisioner_is_refused_and_leaves_nothing() {
    let lab = Lab::with_image();
    let before = lab.files();
    let create = |rest: &[&str]| {
        let arguments = [&["provisioner", "create", "p", "--arch", "aarch64"], rest].concat();
        lab.run(&arguments)
    };

    let said = [
        create(&[]),
        create(&["--ip", "10.77.0.1"]),
        create(&["--ip", "10.77.0/24"]),
        create(&["--ip", "10.77.0.0/24"]),
        create(&["--ip", "10.77.0.1/31"]),
        create(&["--ip", "10.0.2.1/24"]),
        create(&["--ip", "10.77.0.1/24", "--ipv6", "fd00:77::1/120"]),
        create(&["--ip", "10.77.0.1/24", "--mac", "ff:ff:ff:ff:ff:ff"]),
        create(&["--ip", "10.77.0.1/24", "--distro", "ubuntu-24.04"]),
        create(&["--ip", "10.77.0.1/24", "--disk-size", "1M"]),
        create(&["--ip", "10.77.0.1/24", "--disk-size", "big"]),
        lab.run(&["provisioner", "create", "p", "--ip", "10.77.0.1/24", "--arch", "x86_64"]),
        lab.run(&["provisioner", "create", "P", "--ip", "10.77.0.1/24"]),
    ]
    .join("\n");

    insta::assert_snapshot!("refused", said);
    assert_eq!(lab.files(), before);
}

#[test]
fn a_second_provisioner_is_refused() {
    let lab = Lab::with_provisioner();
    let before = lab.files();

    insta::assert_snapshot!(
        "second",
        lab.run(&["provisioner", "create", "other", "--ip", "10.78.0.1/24", "--arch", "aarch64"])
    );

    assert_eq!(lab.files(), before);
}

#[test]
fn a_provisioner_that_would_strand_a_target_is_refused() {
    let lab = Lab::with_provisioner();
    lab.run(&["vm", "create", "web", "--arch", "aarch64", "--pxeboot"]);
    lab.run(&["vm", "clean", "provisioner"]);

    insta::assert_snapshot!(
        "strands",
        lab.run(&["provisioner", "create", "p", "--ip", "10.78.0.1/24", "--arch", "aarch64"])
    );
}
