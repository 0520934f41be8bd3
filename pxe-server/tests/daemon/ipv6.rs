//! IPv6: what the kernel of a machine makes of our advertisements, and a real DHCPv6 client of our answers.

use std::fs;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use lab_model::MacAddr;
use lab_tests::process::{Process, bound, run, until};
use lab_tests::{BRIDGE, Namespace};
use nix::net::if_::if_nametoindex;
use tempfile::TempDir;

use crate::client::{elsewhere, http_get, tftp_read_from};
use crate::server::{LIMIT, ON_THE_BRIDGE, Server, definition};

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
fn what_is_advertised_and_given_follows_the_configuration() {
    let namespace = dual_stack();
    let told = |mtu, pool| {
        format!("{ON_THE_BRIDGE}[ra]\nmtu = {mtu}\n[dhcp6]\npool = 'fd77::{pool}-fd77::{pool}'\nlease-seconds = 300\n")
    };
    let mut server = Server::configured(&told(1400, 88));
    server.start_as_a_service();
    let mtu = |expected: &'static str| {
        let is = || Ok((fs::read_to_string("/proc/sys/net/ipv6/conf/eth0/mtu")? == expected).then_some(()));
        until(LIMIT, is).unwrap().unwrap_or_else(|| panic!("the kernel does not hear {expected}"));
    };
    let (heard, first) = mpsc::channel();

    let log = server.path("server.log");
    let machine = namespace.neighbour(move || {
        mtu("1400\n");
        solicit_until(STRANGER, &log, "address=\"fd77::88\"");
        heard.send(()).unwrap();
        mtu("1300\n");
        solicit_until(WEB, &log, "address=\"fd77::99\"");
    });
    first.recv_timeout(LIMIT).unwrap();
    server.configure(&told(1300, 99));

    machine.unwrap().join().unwrap().unwrap();
    server.wait_for_log("configuration changed key=\"dhcp6.pool\" old=\"fd77::88-fd77::88\" new=\"fd77::99-fd77::99\"");
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
    assert!(stdout.contains("ipv6       fd77::1/64, advertised, pool fd77::1000-fd77::1fff\n"), "{stdout}");
}

#[test]
fn a_reservation_of_another_network_is_told() {
    let _namespace = dual_stack();
    let server = Server::configured(ON_THE_BRIDGE);
    server.define("web.toml", &format!("{}ipv6 = 'fd78::50/64'\n", definition("web", 1, "")));

    let (_, stderr, status) = server.check();

    assert!(!status.success());
    let problem = "problem: web: ipv6: fd78::50 is no address of a machine in the lab network fd77::1/64";
    assert!(stderr.contains(problem), "{stderr}");
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

#[test]
fn a_real_client_gets_its_address_its_name_and_its_boot_file() {
    let namespace = dual_stack();
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}[ra]\nautonomous = false\ndns = ['fd77::1']\n"));
    let boots = "ipv6 = 'fd77::50/64'\npxeboot = true\ndistro = 'debian-12'\n";
    server.define("web.toml", &format!("{}{boots}", definition("web", 1, "").replace("aarch64", "x86_64")));
    server.start_as_a_service();
    server.wait_for_log("defined machine=\"web\"");

    let told = elsewhere(&namespace, || {
        become_machine(WEB);
        let mut client = Dhclient::new(PXE);
        let told = client.bound();
        run("ip", &["-6", "address", "add", "fd77::50/64", "dev", "eth0", "nodad"]).unwrap();
        let file = tftp_read_from("fd77::1".parse().unwrap(), "autoexec.ipxe").unwrap();
        let script = http_get(&format!("http://[fd77::1]/ipxe?mac={WEB}&arch=x86_64")).1;
        (told, String::from_utf8(file).unwrap(), script, http_get("http://[fd77::1]/config/52:54:00:00:00:01").0)
    });

    let (told, autoexec, script, config) = told;
    assert_eq!(
        told,
        format!("BOUND6 fd77::50 fd77::1 pvmlab.local. {NAME} tftp://[fd77::1]/ipxe-x86_64.efi"),
        "{}",
        server.log()
    );
    assert!(autoexec.contains("http://[fd77::1]/ipxe?mac="), "{autoexec}");
    assert!(script.contains("web should get the image debian-12"), "{script}");
    assert_eq!(config, 404, "it may ask, but there is no image");
    for event in ["offer", "ack", "transfer", "script"] {
        server.wait_for("state/events.jsonl", &format!("\"mac\":\"{WEB}\",\"machine\":\"web\",\"event\":\"{event}\""));
    }
}

#[test]
fn names_are_answered_at_the_ipv6_address_and_machines_are_told_so() {
    let namespace = dual_stack();
    run("ip", &["-6", "route", "add", "fd78::/64", "dev", BRIDGE]).unwrap();
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}[dhcp6]\npool = 'fd77::99-fd77::99'\n"));
    server.define("web.toml", &definition("web", 1, "10.77.0.50"));
    server.start_as_a_service();

    let (told, answers, refused) = elsewhere(&namespace, || {
        become_machine(WEB);
        let told = Dhclient::new("").bound();
        run("ip", &["-6", "address", "add", "fd77::99/64", "dev", "eth0", "nodad"]).unwrap();
        let back = ["-x", "fd77::99"];
        let answers = ["+notcp", "+tcp"].map(|transport| {
            let ask = |question: &[&str]| dig6(&[&["+short", transport], question].concat());
            [ask(&["web.pvmlab.local", "AAAA"]), ask(&["web.pvmlab.local", "A"]), ask(&back)]
        });
        run("ip", &["-6", "address", "add", "fd78::99/64", "dev", "eth0", "nodad"]).unwrap();
        (told, answers, dig6(&["-b", "fd78::99", "web.pvmlab.local", "AAAA"]))
    });

    assert!(told.starts_with("BOUND6 fd77::99 fd77::1 pvmlab.local. "), "the server is its name server: {told}");
    assert_eq!(answers, [["fd77::99\n", "10.77.0.50\n", "web.pvmlab.local.\n"]; 2]);
    assert!(refused.contains("status: REFUSED"), "{refused}");
    // This host itself asks by another way.
    assert_eq!(dig6(&["+short", "web.pvmlab.local", "AAAA"]), "fd77::99\n");
}

#[test]
fn a_client_that_says_its_name_by_dhcpv6_alone_is_found_by_it() {
    let namespace = dual_stack();
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}[dhcp6]\npool = 'fd77::99-fd77::99'\n"));
    server.start();
    let name = b"\0\x27\0\x08\x01\x06laptop";

    let log = server.path("server.log");
    elsewhere(&namespace, move || solicit_until_with(STRANGER, name, &log, "fd77::99"));

    let found = until(LIMIT, || Ok((dig6(&["+short", "laptop.pvmlab.local", "AAAA"]) == "fd77::99\n").then_some(())));
    found.unwrap().unwrap_or_else(|| panic!("{}", server.log()));
    assert_eq!(dig6(&["+short", "-x", "fd77::99"]), "laptop.pvmlab.local.\n");
    server.kill();
    server.start();
    assert_eq!(dig6(&["+short", "laptop.pvmlab.local", "AAAA"]), "fd77::99\n", "as long as its lease lasts");
}

#[test]
fn a_killed_server_remembers_its_ipv6_leases_and_who_it_is() {
    let namespace = dual_stack();
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}[dhcp6]\npool = 'fd77::99-fd77::99'\n"));
    server.start();
    let told = elsewhere(&namespace, || {
        become_machine(WEB);
        Dhclient::new("").bound()
    });
    assert!(told.starts_with("BOUND6 fd77::99 "), "{told}");
    let duid = fs::read_to_string(server.path("state/duid")).unwrap();

    server.kill();
    server.start();

    let log = server.path("server.log");
    elsewhere(&namespace, move || solicit_until(STRANGER, &log, "the pool is exhausted"));
    assert_eq!(fs::read_to_string(server.path("state/duid")).unwrap(), duid);
}

#[test]
fn what_is_no_dhcpv6_is_counted_and_disturbs_nobody() {
    let namespace = dual_stack();
    let mut server = Server::configured(ON_THE_BRIDGE);
    server.start();

    let log = server.path("server.log");
    elsewhere(&namespace, move || {
        solicit_until(STRANGER, &log, &format!("mac={STRANGER}"));
        let socket = client_socket();
        for length in [0, 1, 3, 4, 5000] {
            socket.send_to(&vec![0xff; length], all_servers()).unwrap();
        }
        drop(socket);
        solicit_until(WEB, &log, &format!("mac={WEB}"));
    });

    server.stop();
    server.wait_for_log("ignored by DHCPv6 reason=\"too-short\" times=3");
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

/// What `dig` prints of a question to the server's IPv6 address.
fn dig6(question: &[&str]) -> String {
    let mut command = Command::new("dig");
    command.args(["-6", "@fd77::1", "+tries=3", "+time=20"]).args(question);
    let output = command.output().expect("dig: install the package bind9-dnsutils");
    String::from_utf8(output.stdout).unwrap()
}

fn ip(what: &str) -> String {
    run("ip", &["-6", what, "show", "dev", "eth0"]).unwrap()
}

/// Gives this host's interface the hardware address of a machine, and waits until it can be used.
fn become_machine(mac: MacAddr) {
    let set = |arguments: &[&str]| run("ip", &[&["link", "set", "eth0"][..], arguments].concat()).unwrap();
    set(&["down"]);
    set(&["address", &mac.to_string()]);
    set(&["up"]);
    let usable = || {
        let addresses = ip("address");
        Ok((addresses.contains("scope link") && !addresses.contains("tentative")).then_some(()))
    };
    until(LIMIT, usable).unwrap().expect("a link-local address");
}

/// ISC's DHCPv6 client on eth0, ended when this is dropped.
struct Dhclient {
    told: PathBuf,
    _process: Process,
    _folder: TempDir,
}

impl Dhclient {
    /// Starts it, with these words more in its configuration.
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |file: &str| folder.path().join(file);
        let (told, script) = (path("told"), path("script"));
        let variables = "$reason $new_ip6_address $new_dhcp6_name_servers $new_dhcp6_domain_search \
                         $new_dhcp6_fqdn $new_dhcp6_bootfile_url";
        let text = format!("#!/bin/sh\n[ -z \"$new_ip6_address\" ] || echo {variables} >>{}\n", told.display());
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(path("conf"), format!("also request dhcp6.bootfile-url, dhcp6.fqdn;\n{more}")).unwrap();
        let mut command = bound("/usr/sbin/dhclient");
        command.args(["-6", "-d", "-1"]).arg("-sf").arg(&script).arg("-cf").arg(path("conf"));
        command.arg("-lf").arg(path("leases")).arg("-pf").arg(path("pid")).arg("eth0");
        let process = Process::start("dhclient", &mut command).expect("install the package isc-dhcp-client");
        Self { told, _process: process, _folder: folder }
    }

    /// Waits until it has an address; what it was told, as the first line of its script's.
    fn bound(&mut self) -> String {
        let line = || Ok(fs::read_to_string(&self.told).ok().and_then(|text| text.lines().next().map(str::to_owned)));
        until(LIMIT, line).unwrap().expect("an address")
    }
}

/// Sends Solicits of a machine until the server's log says this.
pub(crate) fn solicit_until(mac: MacAddr, log: &Path, text: &str) {
    solicit_until_with(mac, &[], log, text);
}

/// As [`solicit_until`], with these options more, and for an address at once (RFC 8415 §21.14).
fn solicit_until_with(mac: MacAddr, more: &[u8], log: &Path, text: &str) {
    become_machine(mac);
    let socket = client_socket();
    let rapid: &[u8] = if more.is_empty() { &[] } else { &[0, 14, 0, 0] };
    let solicit = [&[1, 1, 2, 3, 0, 1, 0, 2, 0, 9, 0, 3, 0, 12][..], &[0; 12], rapid, more].concat();
    let heard = || {
        socket.send_to(&solicit, all_servers())?;
        let _ = socket.recv(&mut [0; 1500]);
        Ok(fs::read_to_string(log)?.contains(text).then_some(()))
    };
    until(LIMIT, heard).unwrap().unwrap_or_else(|| panic!("no `{text}`: {}", fs::read_to_string(log).unwrap()));
}

fn client_socket() -> UdpSocket {
    let socket = UdpSocket::bind("[::]:546").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket
}

fn all_servers() -> SocketAddrV6 {
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
    SocketAddrV6::new(group, 547, 0, if_nametoindex("eth0").unwrap())
}

/// How firmware for x86-64 says what it is (RFC 5970 §3.3; RFC 8415 §21.16): `PXEClient`.
const PXE: &str = "option dhcp6.firmware code 16 = string;\nsend dhcp6.client-arch-type 7;\n\
    send dhcp6.firmware 00:00:01:57:00:09:50:58:45:43:6c:69:65:6e:74;\n";

/// `web.pvmlab.local`, as RFC 4704 §4 has it and dhclient tells it: behind the flags, each label behind its length.
const NAME: &str = "1:3:77:65:62:6:70:76:6d:6c:61:62:5:6c:6f:63:61:6c:0";

const WEB: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);
const STRANGER: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 2]);
