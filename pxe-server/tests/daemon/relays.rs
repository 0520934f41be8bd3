//! Machines behind a relay agent: dnsmasq's relay or ISC's, and BusyBox's client, each on a host of its own.

use std::fs;
use std::process::{Command, Stdio};

use lab_tests::process::{Process, bound, run};
use lab_tests::{Host, Namespace};

use crate::server::{ON_THE_BRIDGE, Server, definition};
use crate::udhcpc::Udhcpc;

#[test]
fn a_machine_behind_a_relay_gets_its_subnets_address_and_renews_it_by_itself() {
    let namespace = Network::new();
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}{NORTH}"));
    server.start();

    let client = Udhcpc::start(&namespace.machine, &server, &[]);

    let bound = server.wait_for("client.log", "bound ");
    assert!(
        bound.contains(" 255.255.255.0 router=10.78.0.1 server=10.77.0.1 domain=pvmlab.local lease=120"),
        "{bound}"
    );
    let address = bound.split(' ').nth(1).unwrap();
    assert!(address.starts_with("10.78.0.2"), "{bound}");
    server.wait_for_log("stage=\"ack\" destination=Relay(10.78.0.1)");
    client.signal("USR1");
    server.wait_for("client.log", &format!("renew {address} "));
    server.wait_for_log(&format!("stage=\"ack\" destination=Unicast({address})"));
    client.signal("USR2");
    server.wait_for_log("lease ended");
}

/// It names the circuit that it has the message from (RFC 3046), and wants that back.
#[test]
fn iscs_relay_is_answered_with_what_it_added() {
    let mut relay = bound("/usr/sbin/dhcrelay");
    relay.args(["-4", "-d", "--no-pid", "-a", "-D", "-id", "eth1", "-iu", "eth0", "10.77.0.1"]);
    let namespace = Network::relayed_by(relay, "isc-dhcp-relay");
    let mut server = Server::configured(&format!(
        "{ON_THE_BRIDGE}{NORTH}[[dhcp.class]]\nname = 'port'\ncircuit-id = 'eth1'\nlease-seconds = 77\n"
    ));
    server.start();

    let _client = Udhcpc::start(&namespace.machine, &server, &[]);

    let bound = server.wait_for("client.log", "bound ");
    assert!(bound.contains(" 255.255.255.0 router=10.78.0.1 server=10.77.0.1 domain=pvmlab.local lease=77"), "{bound}");
    server.wait_for_log("stage=\"ack\" destination=Relay(10.78.0.1)");
}

#[test]
fn a_definition_may_have_an_address_behind_a_relay_and_nowhere_else() {
    let namespace = Network::new();
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}{NORTH}"));
    server.define("web.toml", &definition("web", 1, "10.78.0.9"));
    server.define("db.toml", &definition("db", 2, "10.79.0.9"));
    server.start();

    let _client = Udhcpc::start(&namespace.machine, &server, &[]);

    server.wait_for("client.log", "bound 10.78.0.9 ");
    let expected = "expected one of 10.77.0.1 to 10.77.0.254 or 10.78.0.1 to 10.78.0.254";
    server.wait_for_log(&format!("db.toml: ip: 10.79.0.9 is outside the lab network: {expected}"));
}

#[test]
fn a_relay_of_an_unknown_network_is_told_to_the_owner() {
    let namespace = Network::new();
    let mut server = Server::configured(ON_THE_BRIDGE);
    server.start();

    let _client = Udhcpc::start(&namespace.machine, &server, &[]);

    server.wait_for_log("relayed by 10.78.0.1, which is on no subnet of the configuration");
}

/// Addresses that a definition has none of: 10.78.0.200 to 10.78.0.209.
pub(crate) const NORTH: &str = "[[dhcp.subnet]]\nnetwork = '10.78.0.0/24'\nrouter = '10.78.0.1'\n\
                     pool = '10.78.0.200-10.78.0.209'\nlease-seconds = 120\n";

/// The server's namespace, a router with a relay agent that is plugged into its bridge, and a machine behind that.
pub(crate) struct Network {
    pub(crate) machine: Host,
    _relay: Process,
    _router: Host,
    _namespace: Namespace,
}

impl Network {
    pub(crate) fn new() -> Self {
        let mut relay = bound("dnsmasq");
        relay.args(["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", "--port=0", "--log-facility=-"]);
        relay.args(["--user=root", "--dhcp-relay=10.78.0.1,10.77.0.1"]);
        Self::relayed_by(relay, "dnsmasq-base")
    }

    /// With this program as the relay agent, from this package.
    fn relayed_by(mut relay: Command, package: &'static str) -> Self {
        let namespace = Namespace::enter().unwrap();
        let (router, machine) = (Host::new().unwrap(), Host::new().unwrap());
        router.plug_into("router").unwrap();
        run("ip", &["link", "set", "router", "master", "lab"]).unwrap();
        run("ip", &["route", "add", "10.78.0.0/24", "via", "10.77.0.2"]).unwrap();
        router.connect("eth1", &machine).unwrap();
        machine.ip(&["link", "set", "eth0", "address", "52:54:00:00:00:01"]).unwrap();
        router.ip(&["address", "add", "10.77.0.2/24", "dev", "eth0"]).unwrap();
        router.ip(&["address", "add", "10.78.0.1/24", "dev", "eth1"]).unwrap();
        let relay = router.run(move || {
            fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
            let started = Process::start("the relay agent", relay.stdout(Stdio::null()).stderr(Stdio::null()));
            started.unwrap_or_else(|error| panic!("install the package {package}: {error}"))
        });
        Self { machine, _relay: relay.unwrap(), _router: router, _namespace: namespace }
    }
}
