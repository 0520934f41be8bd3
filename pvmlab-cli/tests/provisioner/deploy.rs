//! Another release on a provisioner that runs.

use std::fs;

use crate::guest::{Fate, Guest};

#[test]
fn a_release_that_serves_is_at_work() {
    let (guest, (deployed, said)) = deployed(Fate::Serves);

    assert!(deployed);
    assert_eq!(guest.at_work(), ("tried".to_owned(), "tried".to_owned()));
    insta::assert_snapshot!(said, @"release tried serves http://127.0.0.1:PORT");
}

#[test]
fn a_release_that_refuses_the_configuration_is_never_put_to_work() {
    let (guest, (deployed, said)) = deployed(Fate::RefusesTheConfiguration);

    assert!(!deployed);
    assert_eq!(guest.at_work(), ("seed".to_owned(), "seed".to_owned()));
    insta::assert_snapshot!(said, @r"
    error: lab.interface: missing
    release seed goes on serving
    error: release tried does not take this configuration; it was not put to work
    ");
}

#[test]
fn a_release_that_dies_is_taken_back() {
    let (guest, (deployed, said)) = deployed(Fate::Dies);

    assert!(!deployed);
    assert_eq!(guest.at_work(), ("seed".to_owned(), "seed".to_owned()));
    insta::assert_snapshot!(said, @r"
    what pxe-server said last:
    the end of the journal
    release seed is back and serves
    error: release tried does not serve
    ");
}

#[test]
fn a_release_that_does_not_answer_is_taken_back() {
    let (guest, (deployed, said)) = deployed(Fate::IsMute);

    assert!(!deployed, "{said}");
    assert_eq!(guest.at_work(), ("seed".to_owned(), "seed".to_owned()));
}

#[test]
fn a_damaged_release_is_received_anew() {
    let guest = Guest::new();
    let seed = guest.release("seed", Fate::Serves);
    guest.boot(&seed);
    let folder = guest.release_at_work();
    fs::write(folder.join("pxe-server"), "damaged").unwrap();

    let (deployed, said) = guest.deploy(&seed);

    assert!(deployed, "{said}");
    assert_eq!(guest.at_work().0, "seed");
}

#[test]
fn the_release_before_stays_and_older_ones_go() {
    let guest = Guest::new();
    guest.boot(&guest.release("first", Fate::Serves));
    let first = guest.release_at_work();
    guest.deploy(&guest.release("second", Fate::Serves));
    let second = guest.release_at_work();
    let old = std::process::Command::new("touch").args(["-d", "2 hours ago"]).args([&first, &second]).status();
    assert!(old.unwrap().success());

    guest.deploy(&guest.release("third", Fate::Serves));

    assert_eq!((first.exists(), second.exists()), (false, true));
}

fn deployed(fate: Fate) -> (Guest, (bool, String)) {
    let guest = Guest::new();
    guest.boot(&guest.release("seed", Fate::Serves));
    let outcome = guest.deploy(&guest.release("tried", fate));
    (guest, outcome)
}
