//! `pvmlab vm list` and `pvmlab vm clean`.

mod bench;

use bench::Lab;

#[test]
fn an_empty_lab_has_no_machines() {
    let lab = Lab::new();

    insta::assert_snapshot!("empty", [lab.run(&["vm", "list"]), lab.run(&["vm", "list", "--json"])].join("\n"));
}

#[test]
fn a_definition_written_by_hand_into_nonsense_is_kept_and_reported() {
    let lab = Lab::with_provisioner();
    lab.run(&["vm", "create", "web", "--arch", "aarch64", "--pxeboot", "--mac", "52:54:00:00:00:02"]);
    lab.write("vms/bad.json", "{\n  \"name\": \"bad\",\n  \"arch\": \"pdp11\"\n}\n");
    lab.write("vms/copy.toml", "name = 'web'\narch = 'aarch64'\nmac = '52:54:00:00:00:09'\n");

    let said = [
        lab.run(&["vm", "list"]),
        lab.run(&["vm", "list", "--json", "--quiet"]),
        lab.run(&["vm", "create", "bad", "--arch", "aarch64", "--pxeboot"]),
        lab.run(&["vm", "clean", "bad"]),
    ]
    .join("\n");

    insta::assert_snapshot!("nonsense", said);
    assert!(!lab.home().join("vms/bad.json").exists());
}

#[test]
fn a_home_of_the_first_pvmlab_is_read_as_it_is() {
    let lab = Lab::new();
    lab.write(
        "vms/provisioner.json",
        r#"{"name": "provisioner", "role": "provisioner", "arch": "aarch64", "ip": "192.168.100.1", "subnet": "192.168.100.0/24",
            "ipv6": "fd00:cafe:baba::1", "subnetv6": "fd00:cafe:baba::/64", "mac": "02:00:00:AA:bb:01", "ssh_port": 2222,
            "pxeboot": false, "distro": "", "ssh_key": "ssh-rsa AAAA lab", "kernel": "", "initrd": ""}"#,
    );
    lab.write(
        "vms/client1.json",
        r#"{"name": "client1", "role": "target", "arch": "x86_64", "ip": "192.168.100.10", "subnet": "192.168.100.0/24",
            "ipv6": "", "subnetv6": "", "mac": "02:00:00:aa:bb:02", "ssh_port": 0, "pxeboot": true, "distro": "ubuntu-24.04",
            "ssh_key": "ssh-rsa AAAA lab", "kernel": "vmlinuz", "initrd": "initrd.gz"}"#,
    );
    lab.write(
        "distros.yaml",
        "- name: ubuntu-24.04\n  distro_name: ubuntu\n  version: \"24.04\"\n  arch:\n    aarch64:\n      iso_url: https://example.org/a.iso\n",
    );

    insta::assert_snapshot!("first_pvmlab", [lab.run(&["vm", "list"]), lab.images()].join("\n"));
}

#[test]
fn a_pid_that_is_somebody_elses_is_not_believed() {
    let lab = Lab::with_provisioner();
    // This test's own process, which is no emulator, and a number that none has.
    lab.write("pids/provisioner.pid", &std::process::id().to_string());

    let said = [lab.run(&["vm", "clean", "provisioner"]), lab.run(&["vm", "list"])].join("\n");

    insta::assert_snapshot!("stale_pid", said);
}

#[test]
fn a_machine_is_removed_with_all_that_it_had() {
    let lab = Lab::with_provisioner();
    let before = lab.files();
    lab.run(&["vm", "create", "web", "--arch", "aarch64", "--memory", "512"]);

    let said =
        [lab.run(&["vm", "clean", "web"]), lab.run(&["vm", "clean", "web"]), lab.run(&["vm", "clean"])].join("\n");

    insta::assert_snapshot!("removed", said);
    assert_eq!(lab.files(), before);
    insta::assert_snapshot!("removed_all", lab.run(&["vm", "clean", "--all"]));
}
