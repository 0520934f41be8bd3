//! `pvmlab distro …`.

mod bench;

use std::fs;

use bench::Lab;

#[test]
fn an_image_is_registered_once() {
    let lab = Lab::new();
    let image = lab.image("debian-12", "aarch64");
    let add = ["distro", "add", image.to_str().expect("text")];

    let said = [
        lab.images(),
        lab.run(&add),
        lab.run(&add),
        lab.images(),
        lab.run(&["distro", "show", "debian-12"]),
        lab.run(&["distro", "rm", "debian-12", "--arch", "aarch64"]),
        lab.run(&["distro", "show", "debian-12"]),
    ]
    .join("\n");

    insta::assert_snapshot!("registered", said);
    assert_eq!(lab.files(), [""; 0]);
}

#[test]
fn a_corrupted_image_is_refused_and_leaves_nothing() {
    let lab = Lab::new();
    let image = lab.image("debian-12", "aarch64");
    let add = ["distro", "add", image.to_str().expect("text")];

    fs::write(image.join("initrd.img"), b"jnitrd").expect("written");
    let changed = lab.run(&add);
    fs::write(image.join("initrd.img"), b"initrd and more").expect("written");
    let longer = lab.run(&add);
    fs::remove_file(image.join("initrd.img")).expect("removed");
    let missing = lab.run(&add);
    fs::write(image.join("manifest.json"), "{\"name\": 1}").expect("written");
    let malformed = lab.run(&add);
    fs::remove_file(image.join("manifest.json")).expect("removed");
    let nothing = lab.run(&add);

    insta::assert_snapshot!("corrupted", [changed, longer, missing, malformed, nothing].join("\n"));
    assert_eq!(lab.files(), [""; 0]);
}

#[test]
fn a_registered_image_that_broke_is_mended() {
    let lab = Lab::with_image();
    let disk = lab.home().join("images/debian-12/aarch64/disk.raw.zst");
    fs::remove_file(&disk).expect("removed");
    fs::write(&disk, "broken").expect("written");
    let create = ["provisioner", "create", "p", "--ip", "10.77.0.1/24", "--arch", "aarch64"];
    let built = lab.folder().join("built/debian-12/aarch64");

    let said =
        [lab.images(), lab.run(&create), lab.run(&["distro", "add", built.to_str().expect("text")]), lab.run(&create)]
            .join("\n");

    insta::assert_snapshot!("mended", said);
}

#[test]
fn another_image_of_the_same_name_is_refused() {
    let lab = Lab::with_image();
    let built = lab.image("debian-12", "aarch64");
    let manifest = fs::read_to_string(built.join("manifest.json")).expect("read");
    fs::write(built.join("manifest.json"), manifest.replace("ttyAMA0", "ttyS0")).expect("written");

    insta::assert_snapshot!("another", lab.run(&["distro", "add", built.to_str().expect("text")]));
}

#[test]
fn an_image_that_disks_stand_on_stays() {
    let lab = Lab::with_provisioner();

    insta::assert_snapshot!("in_use", lab.run(&["distro", "rm", "debian-12", "--arch", "aarch64", "--force"]));
    assert!(lab.home().join("images/debian-12/aarch64/manifest.json").exists());
}

#[test]
fn an_image_that_machines_are_installed_from_goes_by_force() {
    let lab = Lab::with_provisioner();
    lab.run(&["vm", "create", "web", "--arch", "aarch64", "--pxeboot"]);
    lab.run(&["vm", "clean", "provisioner"]);

    let said = [
        lab.run(&["distro", "rm", "debian-12", "--arch", "aarch64"]),
        lab.run(&["distro", "rm", "debian-12", "--arch", "aarch64", "--force"]),
    ]
    .join("\n");

    insta::assert_snapshot!("by_force", said);
}

#[test]
fn a_catalogue_that_is_none_is_named() {
    let lab = Lab::new();
    lab.write("distros.yaml", "- name: ubuntu-24.04\n  arch: [aarch64\n");

    insta::assert_snapshot!("bad_catalogue", lab.images());
}
