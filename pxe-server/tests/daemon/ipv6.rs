//! IPv6: what the kernel of a machine makes of our advertisements.

use std::sync::mpsc;

use lab_tests::process::{run, until};
use lab_tests::{BRIDGE, Namespace};

use crate::client::elsewhere;
use crate::server::{LIMIT, ON_THE_BRIDGE, Server};

#[test]
fn a_kernel_makes_itself_an_address_of_the_advertised_prefix() {
    let namespace = dual_stack();
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}[ra]\nmtu = 1400\n"));
    server.start_as_a_service();

    let (address, mtu) = elsewhere(&namespace, || {
        let address = wait_for("address", "scope global dynamic");
        (address, std::fs::read_to_string("/proc/sys/net/ipv6/conf/eth0/mtu").unwrap())
    });

    assert!(address.contains("inet6 fd77::") && address.contains("/64"), "{address}");
    assert_eq!(mtu, "1400\n");
    server.wait_for_log("router advertisements are on");
}

#[test]
fn a_server_that_ends_is_no_router_any_more() {
    let namespace = dual_stack();
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}[ra]\nrouter-lifetime-seconds = 1800\n"));
    server.start();
    let (has_route, wait_for_route) = mpsc::channel();

    let machine = namespace.neighbour(move || {
        let route = wait_for("route", "default via fe80::");
        has_route.send(route).unwrap();
        until(LIMIT, || Ok((!ip("route").contains("default via fe80::")).then_some(()))).unwrap()
    });
    let route = wait_for_route.recv().unwrap();
    server.stop();

    assert!(route.contains("proto ra"), "{route}");
    machine.unwrap().join().unwrap().unwrap().expect("the route is gone");
}

#[test]
fn without_the_capability_nothing_is_advertised_and_all_else_is_served() {
    let _namespace = dual_stack();
    let mut server = Server::configured(ON_THE_BRIDGE);

    server.start_with("net_bind_service");

    server.wait_for_log("this process lacks CAP_NET_RAW");
}

#[test]
fn a_configuration_with_ipv6_is_told_as_it_would_be_served() {
    let _namespace = dual_stack();
    let server = Server::configured(ON_THE_BRIDGE);

    let (stdout, stderr, status) = server.check();

    assert!(status.success(), "{stderr}");
    assert!(stdout.contains("ipv6       fd77::1/64, advertised\n"), "{stdout}");
}

#[test]
fn an_ipv6_address_that_the_interface_has_not_is_a_problem_and_holds_nobody_up() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}address6 = 'fd78::1/64'\n"));

    let problem = "lab.address6: fd78::1/64 is not an address of lab: add it with `ip address add fd78::1/64 dev lab`";
    assert!(server.check().1.contains(problem), "{}", server.check().1);

    server.start();
    server.wait_for_log(problem);
}

#[test]
fn an_address_of_every_router_is_refused_with_its_line() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(&format!("{ON_THE_BRIDGE}address6 = 'fd77::/64'\n"));

    let (_, stderr, status) = server.check();

    assert!(!status.success());
    assert!(stderr.contains("config.toml:4: lab.address6: fd77::/64 is no address of a server"), "{stderr}");
}

/// A namespace whose bridge has an IPv6 address too.
fn dual_stack() -> Namespace {
    let namespace = Namespace::enter().unwrap();
    run("ip", &["address", "add", "fd77::1/64", "dev", BRIDGE, "nodad"]).unwrap();
    namespace
}

/// Waits until the kernel has an address or route of eth0 in whose line `text` stands, and returns the line.
fn wait_for(what: &str, text: &str) -> String {
    let line = || Ok(ip(what).lines().find(|line| line.contains(text)).map(str::to_owned));
    until(LIMIT, line).unwrap().unwrap_or_else(|| panic!("no `{text}`: {}", ip(what)))
}

fn ip(what: &str) -> String {
    run("ip", &["-6", what, "show", "dev", "eth0"]).unwrap()
}
