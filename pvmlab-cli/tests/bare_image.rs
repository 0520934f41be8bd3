//! Images without a disk: what profiles start.

mod bench;
#[path = "../../crates/disk-image/tests/vendor/mod.rs"]
mod vendor;

use std::fs;
use std::path::Path;

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

#[test]
fn an_image_is_put_together_from_a_kernel_and_what_belongs_to_it() {
    let lab = Lab::new();
    write_parts(lab.folder());
    let url = format!("file://{}/modloop", lab.folder().display());

    let said = [
        lab.run(
            &[&ADD[..], &["--file", "modloop", "--file", &format!("apkovl.tar.gz={url}"), "--arch", "aarch64"]]
                .concat(),
        ),
        lab.images(),
        lab.run(&["distro", "show", "netboot"]),
        lab.run(&["distro", "verify", "netboot"]),
    ]
    .join("\n");

    insta::assert_snapshot!("put_together", said);
    let folder = lab.home().join("images/netboot/aarch64");
    assert_eq!(fs::read(folder.join("vmlinuz")).expect("read"), vendor::aarch64(), "unwrapped, as iPXE needs it");
    assert_eq!(fs::read(folder.join("apkovl.tar.gz")).expect("read"), b"the modules");
    let left: Vec<_> = lab.files().into_iter().filter(|file| file.starts_with("downloads/")).collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn what_is_no_image_is_refused_and_leaves_nothing() {
    let lab = Lab::new();
    write_parts(lab.folder());
    let add = |more: &[&str]| lab.run(&[&ADD[..], more].concat());
    let digest = format!("sha256:{}", "0".repeat(64));
    let modloop = format!("file://{}/modloop", lab.folder().display());

    let said = [
        lab.run(&["distro", "add"]),
        lab.run(&["distro", "add", "--name", "netboot", "--kernel", "linux.gz"]),
        lab.run(&["distro", "add", "--kernel", "linux.gz", "--initrd", "initrd.gz"]),
        lab.run(&["distro", "add", "disk.img", "--name", "netboot", "--kernel", "linux.gz", "--initrd", "initrd.gz"]),
        lab.run(&["distro", "add", "disk.img", "--file", "modloop"]),
        lab.run(&["distro", "add", "--name", "netboot", "--kernel", "modloop", "--initrd", "initrd.gz"]),
        lab.run(&["distro", "add", "--name", "netboot", "--kernel", "linux.gz", "--initrd", "none"]),
        add(&["--arch", "x86_64"]),
        add(&["--file", "."]),
        add(&["--file", ".hidden"]),
        add(&["--file", "../modloop=modloop"]),
        add(&["--file", "vmlinuz=modloop"]),
        add(&["--file", "manifest.json=modloop"]),
        add(&["--file", "modloop", "--file", "modloop=initrd.gz"]),
        add(&["--file", "a=ftp://example.org/a"]),
        add(&["--file", "a=https://example.org/a#md5:00"]),
        add(&["--file", "a=http://example.org/a", "--arch", "aarch64"]),
        add(&["--file", &format!("{modloop}#{digest}"), "--arch", "aarch64"]),
    ]
    .join("\n");

    insta::assert_snapshot!("no_image", said);
    assert_eq!(lab.files(), [""; 0]);
}

#[test]
fn the_name_of_another_image_is_refused() {
    let lab = Lab::new();
    write_parts(lab.folder());
    lab.run(&ADD);
    let before = lab.files();
    let modloop = format!("file://{}/modloop", lab.folder().display());

    let said = [lab.run(&ADD), lab.run(&[&ADD[..], &["--file", &modloop, "--arch", "aarch64"]].concat())];

    insta::assert_snapshot!("name_taken", said.join("\n"));
    assert_eq!(lab.files(), before);
}

const ADD: [&str; 8] = ["distro", "add", "--name", "netboot", "--kernel", "linux.gz", "--initrd", "initrd.gz"];

fn write_parts(folder: &Path) {
    let mut kernel = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut kernel, &vendor::aarch64()).expect("packed");
    let files = [
        ("linux.gz", kernel.finish().expect("packed")),
        ("initrd.gz", b"the initrd".to_vec()),
        ("modloop", b"the modules".to_vec()),
    ];
    for (name, content) in files {
        fs::write(folder.join(name), content).expect("written");
    }
}
