//! HTTP alone, for networks whose own DHCP server hands out our URL.

use std::process::ExitStatus;

use crate::server::{HTTP_ONLY, Server};

#[test]
fn needs_no_privilege_and_no_interface() {
    let mut server = Server::configured(HTTP_ONLY);

    server.start_http_only();

    let line = server.wait_for_log("ready");
    assert!(line.contains("url=http://10.0.2.2:"), "{line}");
    assert!(!line.contains("url=http://10.0.2.2:0"), "{line}");
    assert_eq!(server.stop(), ExitStatus::default());
}

#[test]
fn everything_else_needs_the_capability_that_it_names() {
    let _namespace = lab_tests::Namespace::enter().unwrap();
    let mut server = Server::configured(crate::server::ON_THE_BRIDGE);

    let status = server.fail_without_privilege();

    assert_eq!(status.code(), Some(1));
    let expected = "error: UDP port 67 needs CAP_NET_BIND_SERVICE, which this process lacks";
    assert!(server.log().contains(expected), "{}", server.log());
}
