//! What `pxe-server check` prints, whole.

use lab_tests::Namespace;

use crate::server::{HTTP_ONLY, ON_THE_BRIDGE, Server, add_interface, definition};

#[test]
fn a_good_configuration_is_told_as_it_would_be_served() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(ON_THE_BRIDGE);
    server.define("web.toml", &definition("web", 1, "10.77.0.50"));
    server.define("db.toml", &definition("db", 2, ""));

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn wrong_definitions_are_told_one_by_one() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(ON_THE_BRIDGE);
    server.define("a.toml", &definition("a", 1, "10.77.0.50"));
    server.define("b.toml", &definition("b", 1, ""));
    server.define("c.toml", &definition("c", 3, "10.78.0.50"));
    server.define("d.json", "{\n  \"name\": \"d\",\n  \"colour\": \"red\"\n}\n");

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn a_missing_image_is_told_with_the_machine_that_needs_it() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(ON_THE_BRIDGE);
    server.define("web.toml", &format!("{}pxeboot = true\ndistro = 'debian-12'\n", definition("web", 1, "")));

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn a_pool_of_another_network_is_told_with_its_line() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(&format!("{ON_THE_BRIDGE}\n[dhcp]\npool = '10.78.0.100-10.78.0.200'\n"));

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn an_address_that_the_interface_has_not_is_told_with_its_line() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(&format!("{ON_THE_BRIDGE}address = '10.77.0.7/24'\n"));

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn an_interface_without_address_is_told_how_to_get_one() {
    let _namespace = Namespace::enter().unwrap();
    add_interface(None);
    let server = Server::configured("[lab]\ninterface = 'other'\n");

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn a_folder_that_is_not_there_is_told_with_its_line() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(&format!("images = 'imagess'\ndefinitions = 'vmss'\n{ON_THE_BRIDGE}"));

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn a_way_out_is_told_and_what_is_in_its_way() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(&format!("{ON_THE_BRIDGE}[nat]\nuplink = 'wan'\n"));

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn an_uplink_that_is_the_labs_interface_is_told_with_its_line() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(&format!("{ON_THE_BRIDGE}[nat]\nuplink = 'lab'\n"));

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn an_unknown_key_is_told_with_those_that_are_known() {
    let server = Server::configured("[http]\nlisten-port = 8080\n");

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn a_configuration_for_http_alone_needs_no_interface() {
    insta::assert_snapshot!(outcome(&Server::configured(HTTP_ONLY)));
}

#[test]
fn without_interface_and_address_it_is_told_what_is_missing() {
    insta::assert_snapshot!(outcome(&Server::configured("")));
}

fn outcome(server: &Server) -> String {
    let (stdout, stderr, status) = server.check();
    format!("{stdout}--- stderr\n{stderr}--- {status}")
}
