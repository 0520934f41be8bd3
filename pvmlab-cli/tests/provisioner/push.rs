//! Definitions and images for a provisioner that cannot mount them.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::guest::Guest;

#[test]
fn definitions_are_replaced_as_a_whole_and_one_by_one() {
    let (guest, here) = (Guest::new(), tempfile::tempdir().unwrap());
    let write = |name: &str, text: &str| fs::write(here.path().join(name), text).unwrap();
    write("web.json", "old");
    write("gone.json", "gone");
    push(&guest, here.path(), &["take-definitions"]);
    fs::write(guest.path("mnt/host/vms/notes.txt"), "not ours").unwrap();

    write("web.json", "new");
    fs::rename(here.path().join("gone.json"), here.path().join("db.toml")).unwrap();
    push(&guest, here.path(), &["take-definitions"]);

    assert_eq!(names(&guest, "mnt/host/vms"), ["db.toml", "notes.txt", "web.json"]);
    assert_eq!(guest.read("mnt/host/vms/web.json"), "new");
    assert_eq!(names(&guest, "mnt/host"), [".lock", "images", "profiles", "vms"]);
}

#[test]
fn profiles_are_replaced_one_by_one_with_their_folders() {
    let (guest, here) = (Guest::new(), tempfile::tempdir().unwrap());
    let write = |name: &str, text: &str| {
        let path = here.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("gone/profile.toml", "gone");
    write("kept/profile.toml", "old");
    push(&guest, here.path(), &["take-profiles"]);

    fs::remove_dir_all(here.path().join("gone")).unwrap();
    write("kept/profile.toml", "new");
    write("kept/a name.j2", "template");
    push(&guest, here.path(), &["take-profiles"]);

    assert_eq!(names(&guest, "mnt/host/profiles"), ["kept"]);
    assert_eq!(names(&guest, "mnt/host/profiles/kept"), ["a name.j2", "profile.toml"]);
    assert_eq!(guest.read("mnt/host/profiles/kept/profile.toml"), "new");
}

#[test]
fn an_image_is_replaced_and_what_is_the_same_stays() {
    let (guest, here) = (Guest::new(), tempfile::tempdir().unwrap());
    let write = |name: &str, text: &str| fs::write(here.path().join(name), text).unwrap();
    write("manifest.json", "first");
    write("kernel", "kernel");
    write("disk", "first");
    push(&guest, here.path(), &["take-image", "debian-12/aarch64"]);

    fs::remove_file(here.path().join("kernel")).unwrap();
    write("manifest.json", "second");
    write("disk", "second");
    push(&guest, here.path(), &["take-image", "debian-12/aarch64", "kernel"]);

    let image = |file: &str| guest.read(&format!("mnt/host/images/debian-12/aarch64/{file}"));
    assert_eq!(["manifest.json", "kernel", "disk"].map(image), ["second", "kernel", "second"]);
    assert_eq!(names(&guest, "mnt/host"), [".lock", "images", "profiles", "vms"]);
    assert_eq!(names(&guest, "mnt/host/images/debian-12"), ["aarch64"]);
}

#[test]
fn an_image_that_is_gone_here_goes_there() {
    let (guest, here) = (Guest::new(), tempfile::tempdir().unwrap());
    fs::write(here.path().join("manifest.json"), "first").unwrap();
    push(&guest, here.path(), &["take-image", "debian-12/aarch64"]);

    guest.provision(&["drop-image", "debian-12/aarch64"]);

    assert_eq!(names(&guest, "mnt/host/images"), [""; 0]);
}

/// Sends a folder as an archive.
fn push(guest: &Guest, folder: &Path, arguments: &[&str]) {
    let archive = Command::new("tar").args(["-c", "-C"]).arg(folder).args(["--", "."]).output().expect("tar");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cloud-init/provisioner/provision");
    let mut command = guest.command("bash");
    let mut child = command.arg(script).args(arguments).stdin(Stdio::piped()).spawn().expect("bash");
    child.stdin.take().expect("piped").write_all(&archive.stdout).expect("written");
    assert!(child.wait().expect("an end").success());
}

fn names(guest: &Guest, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(guest.path(folder)).expect("a folder").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
