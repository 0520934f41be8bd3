//! Addresses that a host has without having asked for them.

use lab_tests::Namespace;

use crate::client::http_get;
use crate::server::{ON_THE_BRIDGE, Server, definition};
use crate::udhcpc::{Udhcpc, host};

#[test]
fn an_address_that_a_host_has_is_given_to_nobody_and_told_to_the_owner() {
    let _namespace = Namespace::enter().unwrap();
    let _squatter = host("squatter", SQUATTER, Some("10.77.0.200/24"));
    let machine = host("machine", "52:54:00:00:00:01", None);
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}{POOL}"));
    server.start_as_a_service();

    let _client = Udhcpc::start(&machine, &server, &["-r", "10.77.0.200"]);

    server.wait_for("client.log", "bound 10.77.0.201 ");
    let told = server.wait_for_log("an address is in use by a host that did not ask for it");
    assert!(told.contains(&format!("mac=52:54:00:00:00:01 address=10.77.0.200 holder={SQUATTER}")), "{told}");
    assert_eq!(server.log().matches("an address is in use").count(), 1, "{}", server.log());
    server.wait_for("state/leases", "\"address\":\"10.77.0.200\",\"state\":\"declined\"");
}

#[test]
fn a_host_that_answers_for_every_address_keeps_no_machine_from_booting() {
    let _namespace = Namespace::enter().unwrap();
    let squatter = host("squatter", SQUATTER, None);
    for last in 200..220 {
        squatter.ip(&["address", "add", &format!("10.77.0.{last}/24"), "dev", "eth0"]).unwrap();
    }
    let machine = host("machine", "52:54:00:00:00:01", None);
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}[dhcp]\npool = '10.77.0.200-10.77.0.219'\n"));
    server.start();

    let _client = Udhcpc::start(&machine, &server, &[]);

    server.wait_for("client.log", "bound 10.77.0.2");
    let told = server.wait_for_log("is not believed any more");
    assert!(told.contains(&format!("host={SQUATTER}")), "{told}");
    assert_eq!(server.log().matches("an address is in use").count(), 8, "{}", server.log());
    let (_, health) = http_get("http://10.77.0.1/health");
    assert!(health.contains(&format!(r#""hosts-not-believed":["{SQUATTER}"]"#)), "{health}");
    let declined = r#""event":"decline","address":"10.77.0.2"#;
    assert!(server.wait_for("state/strangers.jsonl", declined).contains(&format!(r#""holder":"{SQUATTER}""#)));
}

#[test]
fn a_machine_whose_reserved_address_a_host_has_boots_with_another() {
    let _namespace = Namespace::enter().unwrap();
    let _squatter = host("squatter", SQUATTER, Some("10.77.0.50/24"));
    let machine = host("machine", "52:54:00:00:00:01", None);
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}{POOL}"));
    server.define("web.toml", &definition("web", 1, "10.77.0.50"));
    server.start();

    let _client = Udhcpc::start(&machine, &server, &[]);

    server.wait_for("client.log", "bound 10.77.0.20");
    let told = server.wait_for_log("an address is in use by a host that did not ask for it");
    assert!(told.contains(&format!("address=10.77.0.50 holder={SQUATTER}")), "{told}");
    server.wait_for("state/events.jsonl", "\"machine\":\"web\",\"event\":\"decline\"");
}

#[test]
fn without_the_capability_addresses_are_offered_unasked() {
    let _namespace = Namespace::enter().unwrap();
    let _squatter = host("squatter", SQUATTER, Some("10.77.0.200/24"));
    let machine = host("machine", "52:54:00:00:00:01", None);
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}{POOL}"));
    server.start_with("net_bind_service");

    let _client = Udhcpc::start(&machine, &server, &["-r", "10.77.0.200"]);

    server.wait_for_log("this process lacks CAP_NET_RAW");
    server.wait_for("client.log", "bound 10.77.0.200 ");
}

const SQUATTER: &str = "52:54:00:00:00:66";
const POOL: &str = "[dhcp]\npool = '10.77.0.200-10.77.0.201'\n";
