//! Several subnets on the server's own link.

use lab_tests::Namespace;

use crate::server::{ON_THE_BRIDGE, Server, definition};
use crate::udhcpc::{Udhcpc, host};

/// The server has neither an address of the second network nor a route to it.
#[test]
fn a_machine_gets_an_address_of_the_subnet_that_has_room() {
    let _namespace = Namespace::enter().unwrap();
    let machine = host("machine", "52:54:00:00:00:01", None);
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}{SHARED}"));
    server.start();

    let client = Udhcpc::start(&machine, &server, &[]);

    let bound = server.wait_for("client.log", "bound 10.81.0.50 ");
    assert!(bound.contains(" 255.255.0.0 router=10.81.0.1 server=10.77.0.1 "), "{bound}");
    server.wait_for_log("stage=\"ack\" destination=Hardware");
    server.define("web.toml", &definition("web", 1, "10.77.0.9"));
    server.wait_for_log("defined machine=\"web\"");
    client.signal("USR2");
    client.signal("USR1");
    server.wait_for("client.log", "bound 10.77.0.9 ");
}

const SHARED: &str = "[dhcp]\npool = []\n[[dhcp.subnet]]\nnetwork = '10.81.0.0/16'\nrouter = '10.81.0.1'\n\
                      shares-link-with = '10.77.0.0/24'\npool = '10.81.0.50-10.81.0.50'\n";
