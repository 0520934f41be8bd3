//! `pvmlab setup` and `pvmlab clean`.

mod bench;

use bench::Lab;

#[test]
fn a_home_is_made_once() {
    let lab = Lab::without_home();

    insta::assert_snapshot!("first", lab.run(&["setup"]));
    let key = std::fs::read(lab.home().join("ssh/id_ed25519")).expect("a key");
    insta::assert_snapshot!("second", lab.run(&["setup"]));

    assert_eq!(std::fs::read(lab.home().join("ssh/id_ed25519")).expect("a key"), key);
}

#[test]
fn without_ssh_keygen_it_says_what_to_install() {
    let lab = Lab::without_home().with_programs(&[]);

    insta::assert_snapshot!("no_ssh_keygen", lab.run(&["setup"]));
}

#[test]
fn every_other_command_wants_a_home() {
    let lab = Lab::without_home();

    let said: String =
        [&["vm", "list"][..], &["vm", "create", "web"], &["distro", "ls"], &["distro", "add", "/nonexistent"]]
            .map(|arguments| lab.run(arguments))
            .concat();

    insta::assert_snapshot!("no_home", said);
}

#[test]
fn clean_leaves_the_keys_and_what_is_not_the_labs() {
    let lab = Lab::with_provisioner();
    std::fs::write(lab.home().join("notes.txt"), "mine").expect("written");

    insta::assert_snapshot!("clean", lab.run(&["clean"]));

    assert_eq!(lab.files(), ["notes.txt"]);
    assert!(lab.home().join("ssh/id_ed25519").exists());
    insta::assert_snapshot!("purge_with_other_files", lab.run(&["clean", "--purge"]));
}

#[test]
fn purge_leaves_nothing() {
    let lab = Lab::new();
    insta::assert_snapshot!("purge", [lab.run(&["clean", "--purge"]), lab.run(&["clean", "--purge"])].concat());

    assert!(!lab.home().exists());
}
