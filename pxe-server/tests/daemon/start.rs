//! How it starts and ends.

use std::io::{ErrorKind, Write as _};
use std::net::UdpSocket;
use std::process::ExitStatus;
use std::time::Duration;

use lab_tests::process::run;
use lab_tests::{Dnsmasq, Namespace, SERVER};

use crate::client::{http_get, tftp_read};
use crate::server::{HTTP_ONLY, ON_THE_BRIDGE, Server, add_interface};

#[test]
fn serves_until_it_is_asked_to_end() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::started();

    assert_eq!(server.stop(), ExitStatus::default());
    assert!(server.log().contains("stopping signal=\"SIGTERM\""), "{}", server.log());
}

#[test]
fn tells_the_service_manager_when_it_is_ready_alive_and_stopping() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(ON_THE_BRIDGE);

    let manager = server.start_supervised(Duration::from_millis(100));
    let hear = || {
        let mut message = [0; 256];
        // A signal that some other part of the test waits for may come in between.
        let length = loop {
            match manager.recv(&mut message) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                received => break received.unwrap(),
            }
        };
        String::from_utf8_lossy(&message[..length]).into_owned()
    };

    assert_eq!(hear(), "READY=1\nSTATUS=serves 10.77.0.1/24 at http://10.77.0.1\n");
    assert_eq!(hear(), "WATCHDOG=1\n");
    assert_eq!(hear(), "WATCHDOG=1\n");
    server.stop();
    let last = std::iter::repeat_with(hear).find(|message| message != "WATCHDOG=1\n");
    assert_eq!(last.as_deref(), Some("STOPPING=1\n"));
}

#[test]
fn a_log_in_json_has_one_object_a_line() {
    let mut server = Server::configured(&format!("{HTTP_ONLY}[log]\nformat = 'json'\n"));
    server.start_http_only();

    let line = server.wait_for_log("ready");

    let fields: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&fields["message"], &fields["level"], &fields["machines"]),
        (&"ready".into(), &"INFO".into(), &0.into())
    );
}

#[test]
fn a_port_in_use_names_its_owner() {
    for (port, wildcard) in [(67, "0.0.0.0"), (69, "10.77.0.1")] {
        let _namespace = Namespace::enter().unwrap();
        let _other = UdpSocket::bind((wildcard, port)).unwrap();
        let mut server = Server::configured(ON_THE_BRIDGE);

        let status = server.fail();

        let own = format!("(pid {}): stop it first", std::process::id());
        assert_eq!(status.code(), Some(1));
        assert!(
            server.log().contains(&format!("error: address in use: UDP port {port} is held by ")),
            "{}",
            server.log()
        );
        assert!(server.log().contains(&own), "{}", server.log());
    }
}

#[test]
fn a_dnsmasq_that_has_the_port_is_told_with_how_both_can_serve() {
    let _namespace = Namespace::enter().unwrap();
    let _other = Dnsmasq::here().unwrap();
    let mut server = Server::configured(ON_THE_BRIDGE);

    let status = server.fail();

    assert_eq!(status.code(), Some(1));
    let told = server.wait_for_log("error: address in use: UDP port 67 is held by dnsmasq (pid ");
    assert!(told.contains("`bind-interfaces`") && told.contains("`mode = \"proxy-known\"` in [dhcp]"), "{told}");
    server.configure(&format!("{ON_THE_BRIDGE}[dhcp]\nmode = 'proxy-known'\n"));
    server.start();
}

#[test]
fn the_web_port_in_use_names_its_owner() {
    let _namespace = Namespace::enter().unwrap();
    let _other = std::net::TcpListener::bind((SERVER, 80)).unwrap();
    let mut server = Server::configured(ON_THE_BRIDGE);

    let status = server.fail();

    assert_eq!(status.code(), Some(1));
    assert!(server.log().contains("error: address in use: TCP port 80 is held by "), "{}", server.log());
}

#[test]
fn a_second_server_on_another_interface_is_no_hindrance() {
    let _namespace = Namespace::enter().unwrap();
    let _first = Server::started();
    add_interface(Some("10.78.0.1/24"));

    let mut second = Server::configured("state = 'state'\n[lab]\ninterface = 'other'\n");

    second.start();
}

#[test]
fn two_servers_do_not_share_their_state() {
    let _namespace = Namespace::enter().unwrap();
    let first = Server::started();
    add_interface(Some("10.78.0.1/24"));

    let state = first.path("state");
    let mut second = Server::configured(&format!("state = '{}'\n[lab]\ninterface = 'other'\n", state.display()));

    assert_eq!(second.fail().code(), Some(1));
    let process = format!("is in use: another pxe-server, process {}, has the lock", first.id());
    assert!(second.log().contains(&process), "{}", second.log());
}

#[test]
fn an_interface_that_is_not_there_is_told_with_those_that_are_and_waited_for() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::configured("state = 'state'\n\n[lab]\ninterface = 'other'\naddress = '10.78.0.1/24'\n");

    server.start_early();

    server.wait_for_log(
        "config.toml:4: lab.interface: `other` is no interface of this machine, which has lab (10.77.0.1/24); waiting for it",
    );
    add_interface(Some("10.78.0.7/24"));
    server.wait_for_log(
        "config.toml:5: lab.address: 10.78.0.1/24 is not an address of other (10.78.0.7/24): add it with",
    );
    run("ip", &["address", "add", "10.78.0.1/24", "dev", "other"]).unwrap();
    server.wait_for_log("ready server=10.78.0.1/24");
}

#[test]
fn a_service_manager_hears_what_is_waited_for() {
    let _namespace = Namespace::enter().unwrap();
    add_interface(None);
    let mut server = Server::configured("state = 'state'\n[lab]\ninterface = 'other'\n");

    let manager = server.start_supervised(Duration::from_secs(60));
    let mut message = [0; 256];
    let length = manager.recv(&mut message).unwrap();

    let message = String::from_utf8_lossy(&message[..length]);
    assert!(message.starts_with("STATUS=waits: ") && message.contains("other has no IPv4 address"), "{message}");
}

#[test]
fn it_can_be_ended_while_it_waits() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::configured("state = 'state'\n[lab]\ninterface = 'other'\n");
    server.start_early();
    server.wait_for_log("waiting for it");

    assert_eq!(server.stop(), ExitStatus::default());
}

#[test]
fn what_no_waiting_cures_ends_it() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}[dhcp]\npool = '10.78.0.2-10.78.0.9'\n"));

    let status = server.fail();

    assert_eq!(status.code(), Some(1));
    assert!(server.log().contains("is outside the lab network 10.77.0.1/24"), "{}", server.log());
}

#[test]
fn an_interface_that_is_made_anew_ends_it_so_that_it_starts_again() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::started();

    run("ip", &["link", "delete", "lab"]).unwrap();
    run("ip", &["link", "add", "lab", "type", "bridge"]).unwrap();

    assert_eq!(server.end().code(), Some(1));
    let log = server.log();
    assert!(log.contains("this program must start again interface=\"lab\""), "{log}");
    assert!(log.contains("stopping: a task ended by itself task=\"interface\""), "{log}");
}

#[test]
fn scripts_come_by_http() {
    let _namespace = Namespace::enter().unwrap();
    let _server = Server::started();

    let (status, script) = http_get("http://10.77.0.1/ipxe?mac=52:54:00:00:00:01");

    assert_eq!(status, 200);
    assert!(script.starts_with("#!ipxe\n"), "{script}");
}

#[test]
fn a_client_that_says_nothing_does_not_hold_up_the_end() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::started();
    let mut client = std::net::TcpStream::connect((SERVER, 80)).unwrap();
    client.write_all(b"GET /ipxe?mac=").unwrap();

    assert_eq!(server.stop(), ExitStatus::default());
}

#[test]
fn boot_programs_come_by_tftp() {
    let _namespace = Namespace::enter().unwrap();
    let _server = Server::started();

    let script = tftp_read("autoexec.ipxe").unwrap();

    assert!(script.starts_with(b"#!ipxe\n"), "{}", String::from_utf8_lossy(&script));
    assert!(tftp_read("../../etc/passwd").is_err());
}
