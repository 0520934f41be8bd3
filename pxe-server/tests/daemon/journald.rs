//! What arrives where journald would listen.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;

use lab_tests::Namespace;

use crate::server::{LIMIT, ON_THE_BRIDGE, Server, definition};

#[test]
fn entries_of_a_machine_are_found_by_its_name() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(ON_THE_BRIDGE);
    server.define("web.toml", &definition("web", 1, "10.77.0.50"));
    fs::create_dir(server.path("journal")).unwrap();
    let journald = UnixDatagram::bind(server.path("journal/socket")).unwrap();
    journald.set_read_timeout(Some(LIMIT)).unwrap();

    let script = format!("{EMPTY_RUN}\nmount --bind {} /run/systemd/journal", server.path("journal").display());
    start(&mut server, &script);

    let mut datagram = vec![0; 1 << 16];
    let entries = std::iter::repeat_with(|| {
        let length = loop {
            match journald.recv(&mut datagram) {
                // A signal that some other part of the test waits for.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                received => break received.unwrap(),
            }
        };
        String::from_utf8(datagram[..length].to_vec()).unwrap()
    });
    let entry = entries.into_iter().find(|entry| entry.contains("\nMACHINE=web\n")).unwrap();
    assert_eq!(
        entry,
        "MESSAGE=INFO pxe_server::inventory: defined machine=\"web\"\nPRIORITY=6\nSYSLOG_IDENTIFIER=pxe-server\nMACHINE=web\n"
    );
}

#[test]
fn without_its_socket_lines_go_to_stderr_with_priorities_and_no_time() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(ON_THE_BRIDGE);
    server.define("web.toml", "name");

    start(&mut server, EMPTY_RUN);

    server.wait_for_log("<6> INFO pxe_server::daemon: ready");
    server.wait_for_log("<4> WARN pxe_server::inventory: definition not in force");
}

/// A host without journald, wherever the test runs.
const EMPTY_RUN: &str = "mount -t tmpfs none /run; mkdir -p /run/systemd/journal";

/// Starts the process with its log in what it is told is journald's pipe.
fn start(server: &mut Server, script: &str) {
    let log = File::create(server.path("server.log")).unwrap().metadata().unwrap();
    server.spawn_where(script, &[("JOURNAL_STREAM", &format!("{}:{}", log.dev(), log.ino()))]);
}
