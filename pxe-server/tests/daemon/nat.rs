//! The way out: real connections from a machine in the lab through the server's host to a host outside.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::ExitStatus;
use std::time::Duration;

use lab_tests::process::run;
use lab_tests::{BRIDGE, Host, Namespace};

use crate::server::{LIMIT, ON_THE_BRIDGE, Server};

#[test]
fn machines_get_out_with_the_uplinks_address_by_both_protocols() {
    let network = Network::new();
    let _server = serving();

    assert_eq!(network.source_seen_outside(OUTSIDE_V4), UPLINK_V4);
    assert_eq!(network.source_seen_outside(OUTSIDE_V6), UPLINK_V6);
}

#[test]
fn nobody_gets_in_who_was_not_asked() {
    let network = Network::new();
    // Where forwarding is on already, somebody could.
    set(V4_FORWARDING, "1");
    set(V6_FORWARDING, "1");
    let listeners = [MACHINE_V4, MACHINE_V6].map(|machine| listen(&network.machine, machine));
    let targets = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    assert!(targets.iter().all(|target| connects(&network.outside, *target)));

    let mut server = serving();

    // The services of the lab are not for the outside either, whichever way it knows the address.
    for target in targets.into_iter().chain([SocketAddr::new(IpAddr::from([10, 77, 0, 1]), 80)]) {
        assert!(!connects(&network.outside, target), "{target}");
    }
    assert!(connects(&network.machine, SocketAddr::new(IpAddr::from([10, 77, 0, 1]), 80)));
    server.stop();
    assert!(targets.iter().all(|target| connects(&network.outside, *target)));
}

#[test]
fn its_end_leaves_the_host_as_it_was() {
    let _network = Network::new();
    nft("table inet foreign { chain forward { type filter hook forward priority 5; counter accept; }; }");
    let before = State::now();
    let mut server = serving();
    assert_eq!(State::now().switches, ["1", "1", "2"]);
    assert_ne!(State::now().ruleset, before.ruleset);

    assert_eq!(server.stop(), ExitStatus::default());

    assert_eq!(State::now(), before);
    assert!(!server.path("state/nat.json").exists());
}

#[test]
fn a_crash_leaves_nothing_behind_for_good() {
    let network = Network::new();
    let before = State::now();
    let mut server = serving();
    server.kill();
    assert_ne!(State::now(), before);

    // A new start finds what was before the first, ...
    server.start_as_a_service();
    assert_eq!(network.source_seen_outside(OUTSIDE_V4), UPLINK_V4);
    server.stop();
    assert_eq!(State::now(), before);

    // ... even one that is to do no NAT.
    server.start_as_a_service();
    server.kill();
    server.configure(ON_THE_BRIDGE);
    server.start_as_a_service();
    assert_eq!(State::now(), before);
}

#[test]
fn a_failed_start_leaves_nothing_behind() {
    let _network = Network::new();
    let before = State::now();
    let mut server = Server::configured(&with_nat());
    fs::create_dir(server.path("state/leases")).unwrap();

    assert_eq!(server.fail().code(), Some(1));

    assert_eq!(State::now(), before);
}

#[test]
fn an_uplink_may_come_later_and_change() {
    let network = Network::without_uplink();
    let mut server = Server::configured(&with_nat());
    server.start_as_a_service();
    server.wait_for_log("this machine has no interface `wan` now");

    network.plug_in_the_uplink();
    server.wait_for_log("the uplink is there");
    assert_eq!(network.source_seen_outside(OUTSIDE_V4), UPLINK_V4);
    assert_eq!(State::now().switches, ["1", "1", "2"]);

    run("ip", &["address", "del", "192.0.2.1/24", "dev", "wan"]).unwrap();
    run("ip", &["address", "add", "192.0.2.7/24", "dev", "wan"]).unwrap();
    assert_eq!(network.source_seen_outside(OUTSIDE_V4), IpAddr::from([192, 0, 2, 7]));
}

#[test]
fn the_way_out_may_be_opened_closed_and_led_elsewhere_by_the_configuration() {
    let network = Network::new();
    let before = State::now();
    let mut server = Server::configured(ON_THE_BRIDGE);
    server.start_as_a_service();
    assert_eq!(State::now(), before);

    server.configure(&with_nat());
    server.wait_for_log("configuration changed key=\"nat.uplink\" old=default new=\"wan\"");
    assert_eq!(network.source_seen_outside(OUTSIDE_V4), UPLINK_V4);
    assert_eq!(network.source_seen_outside(OUTSIDE_V6), UPLINK_V6);
    server.configure(&with_nat().replace("wan", "elsewhere"));
    server.wait_for_log("NAT goes by another uplink");
    assert!(!State::now().ruleset.contains("wan"), "{:?}", State::now());
    server.configure(ON_THE_BRIDGE);
    server.wait_for_log("key=\"nat.uplink\" old=\"elsewhere\" new=default");

    assert_eq!(State::now(), before);
    assert!(!server.path("state/nat.json").exists());
}

#[test]
fn an_ipv6_address_may_come_later() {
    let network = Network::new();
    run("ip", &["address", "del", "fd77::1/64", "dev", BRIDGE]).unwrap();
    let server = serving();
    assert_eq!(State::now().switches, ["1", "0", "1"]);

    run("ip", &["address", "add", "fd77::1/64", "dev", BRIDGE, "nodad"]).unwrap();

    server.wait_for_log("NAT follows the lab interface's addresses");
    assert_eq!(network.source_seen_outside(OUTSIDE_V6), UPLINK_V6);
    assert_eq!(State::now().switches, ["1", "1", "2"]);
}

#[test]
fn a_table_that_somebody_flushed_comes_back() {
    let network = Network::new();
    let server = serving();

    nft("flush ruleset");

    server.wait_for_log("somebody removed the NAT table: it is there again");
    assert_eq!(network.source_seen_outside(OUTSIDE_V4), UPLINK_V4);
}

#[test]
fn a_firewall_that_may_be_in_the_way_is_named() {
    let _network = Network::new();
    nft("table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }");

    let server = serving();

    assert!(server.log().contains("chain=\"ip filter FORWARD\""), "{}", server.log());
}

#[test]
fn what_is_missing_is_told_with_what_to_do() {
    let _network = Network::new();
    let before = State::now();
    let mut server = Server::configured(&with_nat());

    assert_eq!(server.fail_with("+net_bind_service").code(), Some(1));
    let lacks =
        "error: cannot do NAT: this process lacks CAP_NET_ADMIN: start it from its systemd unit, or run `sudo setcap";
    assert!(server.log().contains(lacks), "{}", server.log());

    // No file, so no program.
    server.spawn_where("mount --bind /dev/null \"$(PATH=$PATH:/usr/sbin command -v nft)\"", &[("PATH", "/nowhere")]);
    assert_eq!(server.wait().code(), Some(1));
    let lacks =
        "error: cannot do NAT: there is no program `nft`: install it (`apt install nftables`), or leave [nat] out";
    assert!(server.log().contains(lacks), "{}", server.log());

    server.spawn_where(TUNABLES_PROTECTED, &[]);
    assert_eq!(server.wait().code(), Some(1));
    let lacks = "the unit needs ReadWritePaths=/proc/sys/net/ipv";
    assert!(server.log().contains(lacks), "{}", server.log());
    assert_eq!(State::now(), before);
}

#[test]
fn the_paths_that_the_unit_opens_are_enough() {
    let network = Network::new();
    let before = State::now();
    let unit = include_str!("../../../systemd/pxe-server.service");
    let paths = unit.lines().find_map(|line| line.strip_prefix("ReadWritePaths=")).unwrap();
    let open = paths.split(' ').map(|path| path.trim_start_matches('-'));
    let open = open.map(|path| format!("mount --rbind {path} {path}; mount -o remount,bind,rw {path}"));
    let script = format!("{TUNABLES_PROTECTED}\n{}", open.collect::<Vec<_>>().join("\n"));
    let mut server = Server::configured(&with_nat());

    server.spawn_where(&script, &[]);
    server.wait_for_log("ready");

    assert_eq!(network.source_seen_outside(OUTSIDE_V6), UPLINK_V6);
    server.stop();
    assert_eq!(State::now(), before);
}

/// As `ProtectKernelTunables=` does it. Root of a user namespace may bind only with what is mounted below.
const TUNABLES_PROTECTED: &str = "mount --rbind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys";

const V4_FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
const V6_FORWARDING: &str = "/proc/sys/net/ipv6/conf/all/forwarding";
const UPLINK_ACCEPTS_RA: &str = "/proc/sys/net/ipv6/conf/wan/accept_ra";

const UPLINK_V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const UPLINK_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
const OUTSIDE_V4: &str = "192.0.2.2:0";
const OUTSIDE_V6: &str = "[2001:db8::2]:0";
const MACHINE_V4: &str = "10.77.0.2:0";
const MACHINE_V6: &str = "[fd77::2]:0";

fn with_nat() -> String {
    format!("{ON_THE_BRIDGE}[nat]\nuplink = 'wan'\n")
}

fn serving() -> Server {
    let mut server = Server::configured(&with_nat());
    server.start_as_a_service();
    server
}

/// A machine in the lab, and a host beyond the uplink that has routes to the lab: only rules keep it out.
struct Network {
    machine: Host,
    outside: Host,
    _namespace: Namespace,
}

impl Network {
    fn new() -> Self {
        let network = Self::without_uplink();
        network.plug_in_the_uplink();
        network
    }

    fn without_uplink() -> Self {
        let namespace = Namespace::enter().unwrap();
        let (machine, outside) = (Host::new().unwrap(), Host::new().unwrap());
        // A namespace has the switches of the machine that it is on.
        set(V4_FORWARDING, "0");
        set(V6_FORWARDING, "0");
        set("/proc/sys/net/ipv6/conf/default/accept_ra", "1");
        run("ip", &["address", "add", "fd77::1/64", "dev", BRIDGE, "nodad"]).unwrap();
        machine.plug_into("port").unwrap();
        run("ip", &["link", "set", "port", "master", BRIDGE]).unwrap();
        machine.ip(&["address", "add", "10.77.0.2/24", "dev", "eth0"]).unwrap();
        machine.ip(&["address", "add", "fd77::2/64", "dev", "eth0", "nodad"]).unwrap();
        machine.ip(&["route", "add", "default", "via", "10.77.0.1"]).unwrap();
        machine.ip(&["-6", "route", "add", "default", "via", "fd77::1"]).unwrap();
        Self { machine, outside, _namespace: namespace }
    }

    fn plug_in_the_uplink(&self) {
        self.outside.plug_into("wan").unwrap();
        run("ip", &["address", "add", "192.0.2.1/24", "dev", "wan"]).unwrap();
        run("ip", &["address", "add", "2001:db8::1/64", "dev", "wan", "nodad"]).unwrap();
        self.outside.ip(&["address", "add", "192.0.2.2/24", "dev", "eth0"]).unwrap();
        self.outside.ip(&["address", "add", "2001:db8::2/64", "dev", "eth0", "nodad"]).unwrap();
        self.outside.ip(&["route", "add", "10.77.0.0/24", "via", "192.0.2.1"]).unwrap();
        self.outside.ip(&["-6", "route", "add", "fd77::/64", "via", "2001:db8::1"]).unwrap();
    }

    /// Connects the machine with a service outside, sees to it that both hear each other, and returns whom the service sees.
    fn source_seen_outside(&self, service: &'static str) -> IpAddr {
        let listener = listen(&self.outside, service);
        let target = listener.local_addr().unwrap();
        let mut machine = self.machine.run(move || TcpStream::connect_timeout(&target, LIMIT)).unwrap().unwrap();
        let (mut outside, source) = listener.accept().unwrap();
        machine.write_all(b"?").unwrap();
        outside.read_exact(&mut [0]).unwrap();
        outside.write_all(b"!").unwrap();
        machine.read_exact(&mut [0]).unwrap();
        source.ip()
    }
}

fn listen(host: &Host, address: &'static str) -> TcpListener {
    host.run(move || TcpListener::bind(address)).unwrap().unwrap()
}

/// Whether a connection comes about. What is dropped is silent, so this is long for what is there, and short for a test.
fn connects(host: &Host, target: SocketAddr) -> bool {
    host.run(move || TcpStream::connect_timeout(&target, Duration::from_secs(3))).unwrap().is_ok()
}

/// What NAT may change on its host.
#[derive(Debug, PartialEq, Eq)]
struct State {
    ruleset: String,
    switches: [String; 3],
}

impl State {
    fn now() -> Self {
        let switches = [V4_FORWARDING, V6_FORWARDING, UPLINK_ACCEPTS_RA];
        let switches = switches.map(|path| fs::read_to_string(path).unwrap().trim().to_owned());
        Self { ruleset: run("nft", &["list", "ruleset"]).unwrap(), switches }
    }
}

fn nft(command: &str) {
    run("nft", &[command]).unwrap();
}

fn set(path: &str, value: &str) {
    fs::write(path, value).unwrap();
}
