//! HTTP alone, for networks whose own DHCP server hands out our URL.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::process::ExitStatus;

use lab_tests::{Namespace, SERVER};

use crate::client::http_get;
use crate::server::{HTTP_ONLY, ON_THE_BRIDGE, Server, definition};

#[test]
fn needs_no_privilege_and_no_interface() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(HTTP_ONLY);

    server.start_http_only();

    assert_eq!(http_get(&format!("http://127.0.0.1:{}/healthz", server.http_port())), (200, "ok\n".to_owned()));
    assert_eq!(server.stop(), ExitStatus::default());
}

#[test]
fn a_machine_is_known_by_its_url_and_remembered_after_a_restart() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(HTTP_ONLY);
    server.define("web.toml", &definition("web", 1, ""));
    server.start_http_only();

    let base = |server: &Server| format!("http://127.0.0.1:{}", server.http_port());
    let (status, script) = http_get(&format!("{}/ipxe?mac=52:54:00:00:00:01", base(&server)));
    server.wait_for("state/events.jsonl", "\"event\":\"script\"");
    server.kill();
    server.start_http_only();
    let (_, machines) = http_get(&format!("{}/machines", base(&server)));

    assert_eq!(status, 200);
    assert!(script.starts_with("#!ipxe\n"), "{script}");
    assert!(machines.contains("\"name\":\"web\"") && machines.contains("\"stage\":\"script\""), "{machines}");
}

#[test]
fn only_this_host_is_answered_unless_the_configuration_says_otherwise() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(&HTTP_ONLY.replace("listen = '127.0.0.1'\n", ""));

    server.start_http_only();

    server.wait_for_log("to answer others, set `listen` in [http]");
    let port = server.http_port();
    assert_eq!(http_get(&format!("http://127.0.0.1:{port}/healthz")).0, 200);
    let refused = TcpStream::connect((SERVER, port)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_port_whose_owner_may_not_be_looked_at_is_told_by_its_user() {
    let _namespace = Namespace::enter().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let mut server = Server::configured(&HTTP_ONLY.replace("port = 0", &format!("port = {port}")));

    let status = server.fail_http_only();

    assert_eq!(status.code(), Some(1));
    let expected = format!(
        "error: address in use: TCP port {port} is held by a process of user root that we may not look at: \
         `sudo ss -lntp sport = :{port}` names it"
    );
    assert!(server.log().contains(&expected), "{}", server.log());
}

#[test]
fn everything_else_needs_the_capability_that_it_names() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(ON_THE_BRIDGE);

    let status = server.fail_without_privilege();

    assert_eq!(status.code(), Some(1));
    let expected = "error: UDP port 67 needs CAP_NET_BIND_SERVICE, which this process lacks";
    assert!(server.log().contains(expected), "{}", server.log());
}
