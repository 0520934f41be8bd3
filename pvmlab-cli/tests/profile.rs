//! `pvmlab profile …`.

mod bench;

use bench::Lab;

#[test]
fn a_shipped_profile_is_copied_and_rendered_for_its_machine() {
    let lab = Lab::with_provisioner();
    let create = ["vm", "create", "web", "--arch", "aarch64", "--pxeboot", "--mac", "52:54:00:00:00:02"];

    let said = [
        lab.run(&["profile", "ls"]),
        lab.run(&["profile", "add", "debian-preseed"]),
        lab.run(&["profile", "add", "debian-preseed"]),
        lab.run(&["profile", "add", "nonsense"]),
        lab.run(&[&create[..], &["--profile", "debian-preseed"]].concat()),
        lab.run(&["profile", "ls"]),
        lab.run(&["profile", "check"]),
        lab.run(&["profile", "show", "nobody"]),
        lab.run(&["profile", "render", "nobody"]),
    ];

    insta::assert_snapshot!("copied", said.join("\n"));
    let rendered: serde_json::Value =
        serde_json::from_slice(&lab.output(&["profile", "render", "web", "--json"]).stdout).expect("JSON");
    let preseed = rendered["documents"]["preseed.cfg"].as_str().expect("a preseed file");
    assert!(preseed.starts_with("# Unattended answers for web.\n"), "{preseed}");
    assert!(preseed.contains("http://10.77.0.1/machines/52:54:00:00:00:02/up"), "{preseed}");
    assert!(rendered["script"].as_str().is_some_and(|script| script.contains("debian-12-netboot")), "{rendered}");
}

#[test]
fn what_is_wrong_with_profiles_is_found_before_a_machine_boots() {
    let lab = Lab::with_provisioner();
    for (name, text) in [
        ("broken", "kind = 'live'\narguments = 'a={{ machine.adress }}'"),
        ("wrong", "kind = 'disk'"),
        ("good", "kind = 'script'\nscript = 'boot.ipxe'\n[match]\nnames = ['web*']"),
    ] {
        std::fs::create_dir_all(lab.home().join("profiles").join(name)).expect("made");
        lab.write(&format!("profiles/{name}/profile.toml"), text);
    }
    lab.write("profiles/good/boot.ipxe", "#!ipxe\necho {{ machine.name }} of {{ server.address }}\nexit 1\n");
    lab.run(&["vm", "create", "web1", "--arch", "aarch64", "--pxeboot", "--mac", "52:54:00:00:00:02"]);
    lab.run(&[
        "vm",
        "create",
        "db",
        "--arch",
        "aarch64",
        "--pxeboot",
        "--mac",
        "52:54:00:00:00:03",
        "--profile",
        "gone",
    ]);

    let said = [
        lab.run(&["profile", "check"]),
        lab.run(&["profile", "render", "web1"]),
        lab.run(&["profile", "render", "db"]),
        lab.run(&["profile", "ls"]),
    ];

    insta::assert_snapshot!("wrong", said.join("\n"));
}
