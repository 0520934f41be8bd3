//! `pvmlab up`, `down` and `status`: what a lab file says, and what is wrong with it.

mod bench;

use bench::Lab;

const LAB: &str = "[provisioner]\nname = 'provisioner'\narch = 'aarch64'\nip = '10.77.0.1/24'\n";

#[test]
fn what_is_wrong_with_a_lab_file_is_said_before_anything_is_done() {
    let lab = Lab::with_image();
    let wrong = [
        ("no.toml", "provisioner = 1"),
        ("key.toml", "[provisioner]\nname = 'p'\nip = '10.77.0.1/24'\ncolour = 'red'"),
        ("address.toml", "[provisioner]\nname = 'p'\nip = '10.77.0.0/24'"),
        ("nobody.toml", "[targets.web]"),
        ("image.toml", &format!("{LAB}[targets.web]\narch = 'aarch64'\ndistro = 'gone'")),
        ("name.toml", &format!("{LAB}[targets.'Web 1']\narch = 'aarch64'")),
        ("twice.toml", &format!("{LAB}[targets.web]\n[targets.web]")),
        ("same.toml", &format!("{LAB}[targets.a]\nip = '10.77.0.5'\n[targets.b]\nip = '10.77.0.5'")),
    ];
    let before = lab.files();

    let mut said = vec![lab.run(&["up"]), lab.run(&["up", "missing.toml"])];
    for (file, text) in wrong {
        std::fs::write(lab.folder().join(file), text).expect("written");
        said.push(lab.run(&["up", file]));
    }

    insta::assert_snapshot!("wrong", said.join("\n"));
    assert_eq!(lab.files(), before, "nothing was made");
}

#[test]
fn a_lab_that_is_off_is_told_of_and_taken_down_twice() {
    let lab = Lab::with_provisioner();
    lab.run(&["vm", "create", "web", "--arch", "aarch64", "--pxeboot", "--mac", "52:54:00:00:00:02"]);

    let said = [
        lab.run(&["status"]),
        lab.run(&["status", "--json"]),
        lab.run(&["down"]),
        lab.run(&["down"]),
        Lab::without_home().run(&["status"]),
    ];

    insta::assert_snapshot!("off", said.join("\n"));
}
