//! `pvmlab vm boot --profile`, as far as a machine is looked at from outside.

mod bench;

use bench::Lab;

#[test]
fn what_cannot_be_booted_once_is_refused_and_changes_nothing() {
    let lab = lab_with_web();
    let before = definition(&lab);

    let mut said = vec![
        lab.run(&["vm", "boot", "web", "--profile", "rescue"]),
        lab.run(&["vm", "boot", "web", "--profile", "gone"]),
        lab.run(&["vm", "boot", "web"]),
        lab.run(&["profile", "add", "rescue"]),
    ];
    std::fs::create_dir_all(lab.home().join("profiles/plain")).expect("made");
    lab.write("profiles/plain/profile.toml", "kind = 'image'");
    said.extend([
        lab.run(&["vm", "boot", "web", "--profile", "gone"]),
        lab.run(&["vm", "boot", "web", "--profile", "plain"]),
        lab.run(&["vm", "boot", "provisioner", "--profile", "rescue"]),
        lab.run(&["vm", "boot", "nobody", "--profile", "rescue"]),
        lab.run(&["vm", "boot", "web", "--profile", "rescue"]),
    ]);

    insta::assert_snapshot!("refused", said.join("\n"));
    assert_eq!(definition(&lab), before);
}

#[test]
fn the_next_start_is_as_usual() {
    let lab = lab_with_web();
    let before = definition(&lab);
    let once = before.replacen('{', "{\"once\": {\"profile\": \"rescue\", \"number\": 1},", 1);
    lab.write("vms/web.json", &once);

    let said = lab.run(&["vm", "start", "web"]);

    assert!(said.ends_with("[exit 0]\n"), "{said}");
    assert_eq!(definition(&lab), before);
    lab.run(&["vm", "stop", "web"]);
}

fn lab_with_web() -> Lab {
    let lab = Lab::with_provisioner();
    let arguments = ["vm", "create", "web", "--arch", "aarch64", "--mac", "52:54:00:00:00:02", "--memory", "256"];
    assert!(lab.output(&arguments).status.success());
    lab
}

fn definition(lab: &Lab) -> String {
    std::fs::read_to_string(lab.home().join("vms/web.json")).expect("a definition")
}
