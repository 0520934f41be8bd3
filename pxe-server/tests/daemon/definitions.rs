//! Definitions, picked up while the server runs; what is wrong with one costs no other.

use std::fs;

use crate::server::{HTTP_ONLY, Server, definition};

#[test]
fn a_change_is_picked_up() {
    let server = started();

    server.define("web.toml", &definition("web", 1, ""));
    server.wait_for_log("defined machine=\"web\"");
}

/// The file system tells of changes in the folder, not of changes in what a link in it leads to.
#[test]
fn a_change_that_the_file_system_does_not_tell_is_picked_up_too() {
    let server = started();
    let elsewhere = server.path("elsewhere");
    fs::write(&elsewhere, definition("web", 1, "")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, server.path("state/vms/web.toml")).unwrap();
    server.wait_for_log("defined machine=\"web\"");

    fs::write(&elsewhere, definition("db", 1, "")).unwrap();

    server.wait_for_log("defined machine=\"db\"");
}

#[test]
fn a_wrong_definition_is_told_and_its_last_good_version_stays() {
    let server = started();
    server.define("web.json", r#"{"name":"web","arch":"aarch64","mac":"52:54:00:00:00:01"}"#);
    server.wait_for_log("defined machine=\"web\"");

    server.define("web.json", r#"{"name":"web","arch":"aarch64","mac":"52:54:00:00:00:01","colour":"red"}"#);
    let unknown_key = server.wait_for_log("unknown field `colour`");
    server.define("web.json", r#"{"name":"web","#);
    let malformed = server.wait_for_log("EOF while parsing");

    for line in [unknown_key, malformed] {
        assert!(line.contains("definition not in force problem=\"web.json: "), "{line}");
        assert!(line.contains("its last good version stays in force"), "{line}");
    }
    server.define("web.json", r#"{"name":"web","arch":"x86_64","mac":"52:54:00:00:00:01"}"#);
    server.wait_for_log("definition changed machine=\"web\"");
    server.wait_for_log("definition no longer wrong file=\"web.json\"");
}

#[test]
fn a_duplicate_mac_is_told_and_who_had_it_keeps_it() {
    let server = started();
    server.define("web.toml", &definition("web", 1, ""));
    server.wait_for_log("defined machine=\"web\"");

    server.define("a.toml", &definition("a", 1, ""));

    server.wait_for_log("a.toml: mac: 52:54:00:00:00:01 belongs to web.toml already");
    assert!(!server.log().contains("machine=\"a\""), "{}", server.log());
}

#[test]
fn an_address_outside_the_lab_is_told() {
    let server = started();

    server.define("web.toml", &definition("web", 1, "10.78.0.1"));

    server.wait_for_log("web.toml: ip: 10.78.0.1 is outside the lab network: expected one of 10.0.2.1 to 10.0.2.254");
}

fn started() -> Server {
    let mut server = Server::configured(HTTP_ONLY);
    server.start_http_only();
    server
}
