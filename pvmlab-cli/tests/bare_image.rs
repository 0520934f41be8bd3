//! Images without a disk: what profiles start.

mod bench;

use std::fs;

use bench::Lab;

#[test]
fn an_image_without_a_disk_is_for_profiles_alone() {
    let lab = Lab::with_provisioner();
    let image = lab.image_without_disk("netboot", "aarch64");
    let create = ["vm", "create", "web", "--arch", "aarch64", "--mac", "52:54:00:00:00:02"];
    let create = |more: &[&str]| lab.run(&[&create, more].concat());
    lab.write("profiles/rescue/profile.toml", "kind = 'live'\narguments = 'stage2={{ image }}/stage2.img'\n");

    let said = [
        lab.run(&["distro", "add", image.to_str().expect("text")]),
        lab.images(),
        lab.run(&["distro", "show", "netboot"]),
        lab.run(&["distro", "verify", "netboot"]),
        create(&["--distro", "netboot"]),
        create(&["--distro", "netboot", "--pxeboot"]),
        create(&["--distro", "netboot", "--pxeboot", "--profile", "rescue"]),
        lab.run(&["profile", "render", "web"]),
    ]
    .join("\n");

    insta::assert_snapshot!("without_disk", said);
}

#[test]
fn a_machine_does_not_become_one_that_nothing_installs() {
    let lab = Lab::with_provisioner();
    let image = lab.image_without_disk("netboot", "aarch64");
    lab.run(&["distro", "add", image.to_str().expect("text")]);
    lab.run(&["vm", "create", "web", "--arch", "aarch64", "--pxeboot", "--distro", "debian-12"]);
    let before = fs::read(lab.home().join("vms/web.json")).expect("its definition");

    insta::assert_snapshot!("reinstalled", lab.run(&["vm", "reinstall", "web", "--distro", "netboot"]));
    assert_eq!(fs::read(lab.home().join("vms/web.json")).expect("its definition"), before);
}
