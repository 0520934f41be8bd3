//! HTTP alone, for networks whose own DHCP server hands out our URL.

use std::process::ExitStatus;

use lab_tests::Namespace;

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
fn everything_else_needs_the_capability_that_it_names() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(ON_THE_BRIDGE);

    let status = server.fail_without_privilege();

    assert_eq!(status.code(), Some(1));
    let expected = "error: UDP port 67 needs CAP_NET_BIND_SERVICE, which this process lacks";
    assert!(server.log().contains(expected), "{}", server.log());
}
