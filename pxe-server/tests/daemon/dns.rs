//! Names: what `dig` is told, by whom, and what becomes of it when others do not answer.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lab_model::{Health, MacAddr};
use lab_tests::process::{Process, bound, run, until};
use lab_tests::{BRIDGE, Host, Namespace, SERVER};

use crate::client::{DhcpClient, http_get};
use crate::server::{LIMIT, ON_THE_BRIDGE, Server, definition};

#[test]
fn machines_are_found_by_name_and_by_address() {
    let namespace = Namespace::enter().unwrap();
    let _server = with_web("");

    for transport in ["+notcp", "+tcp"] {
        let ask = move |question: &'static [&str]| dig(&[question, &[transport]].concat());
        assert_eq!(ask(&["+short", "web.pvmlab.local"]), "10.77.0.50\n");
        assert_eq!(ask(&["+short", "-x", "10.77.0.50"]), "web.pvmlab.local.\n");
        assert_eq!(ask(&["+short", "-x", "10.77.0.1"]), "pxe.pvmlab.local.\n");
        assert_eq!(elsewhere(&namespace, move || ask(&["+short", "wEb.pvmlab.local"])), "10.77.0.50\n");
    }
}

#[test]
fn what_there_is_not_is_told_with_the_zones_soa() {
    let _namespace = Namespace::enter().unwrap();
    let _server = with_web("");
    let soa = "pvmlab.local.\t\t5\tIN\tSOA\tpxe.pvmlab.local. nobody.invalid. 1 3600 1200 604800 5";

    let absent = dig(&["no.pvmlab.local"]);
    assert!(absent.contains("status: NXDOMAIN") && absent.contains(" aa ") && absent.contains(soa), "{absent}");
    let no_ipv6 = dig(&["web.pvmlab.local", "AAAA"]);
    assert!(no_ipv6.contains("status: NOERROR") && no_ipv6.contains("ANSWER: 0") && no_ipv6.contains(soa), "{no_ipv6}");
    let other_network = dig(&["-x", "192.168.3.4"]);
    assert!(
        other_network.contains("status: NXDOMAIN") && other_network.contains("168.192.in-addr.arpa."),
        "{other_network}"
    );
}

#[test]
fn edns_is_spoken_in_its_first_version() {
    let _namespace = Namespace::enter().unwrap();
    let _server = with_web("");

    let spoken = dig(&["+bufsize=4096", "web.pvmlab.local"]);
    assert!(spoken.contains("; EDNS: version: 0, flags:; udp: 1232"), "{spoken}");
    let unspoken = dig(&["+noedns", "web.pvmlab.local"]);
    assert!(!unspoken.contains("EDNS"), "{unspoken}");
    let later = dig(&["+edns=1", "+noednsnegotiation", "web.pvmlab.local"]);
    assert!(later.contains("status: BADVERS"), "{later}");
}

#[test]
fn a_client_has_the_name_that_it_calls_itself_over_a_restart_but_no_machines() {
    let namespace = Namespace::enter().unwrap();
    let mut server = with_web("");

    let (laptop, servers) = elsewhere(&namespace, || DhcpClient::new(LAPTOP).address_and_name_servers("Laptop"));
    let (_, _) = elsewhere(&namespace, || DhcpClient::new(THIEF).address_and_name_servers("web"));

    assert_eq!(servers, [SERVER]);
    assert_eq!(dig(&["+short", "laptop.pvmlab.local"]), format!("{laptop}\n"));
    assert_eq!(dig(&["+short", "web.pvmlab.local"]), "10.77.0.50\n");
    server.kill();
    server.start();
    assert_eq!(dig(&["+short", "-x", &laptop.to_string()]), "laptop.pvmlab.local.\n");
}

#[test]
fn machines_are_told_what_the_configuration_says() {
    let namespace = Namespace::enter().unwrap();
    let told = |config: &str| {
        let mut server = Server::configured(&format!("{ON_THE_BRIDGE}{config}"));
        server.start();
        elsewhere(&namespace, || DhcpClient::new(LAPTOP).address_and_name_servers("laptop").1)
    };

    assert_eq!(told("[dhcp]\ndns = ['10.77.0.9']\n"), [Ipv4Addr::new(10, 77, 0, 9)]);
    assert_eq!(told("[dhcp]\ndns = []\n"), [Ipv4Addr::UNSPECIFIED; 0]);
    assert_eq!(told("[dns]\nenabled = false\n"), [Ipv4Addr::UNSPECIFIED; 0]);
}

#[test]
fn nobody_but_the_lab_is_answered() {
    let namespace = Namespace::enter().unwrap();
    let outside = Host::new().unwrap();
    outside.plug_into("wan").unwrap();
    run("ip", &["address", "add", "192.0.2.1/24", "dev", "wan"]).unwrap();
    outside.ip(&["address", "add", "192.0.2.2/24", "dev", "eth0"]).unwrap();
    outside.ip(&["route", "add", "10.77.0.0/24", "via", "192.0.2.1"]).unwrap();
    // Whoever is routed to the lab's interface is no part of the lab either.
    run("ip", &["route", "add", "10.78.0.0/24", "dev", BRIDGE]).unwrap();
    let _server = with_web("");
    assert_eq!(elsewhere(&namespace, || dig(&["+short", "web.pvmlab.local"])), "10.77.0.50\n");

    let from_outside = outside.run(|| dig(&["+time=1", "web.pvmlab.local"])).unwrap();
    let by_tcp = outside.run(|| dig(&["+time=1", "+tcp", "web.pvmlab.local"])).unwrap();
    let routed = elsewhere(&namespace, || {
        run("ip", &["address", "add", "10.78.0.2/24", "dev", "eth0"]).unwrap();
        dig(&["-b", "10.78.0.2", "web.pvmlab.local"])
    });

    for refused in [from_outside, by_tcp] {
        assert!(refused.contains("connection refused") && !refused.contains("status:"), "{refused}");
    }
    assert!(routed.contains("status: REFUSED"), "{routed}");
}

#[test]
fn others_names_are_asked_for_and_kept_when_nobody_is_left_to_ask() {
    let _namespace = Namespace::enter().unwrap();
    let upstream = NameServer::start(GOOD);
    let _server = with_web(&format!("[dns]\nupstreams = ['{GOOD}']\n"));

    assert_eq!(dig(&["+short", "www.example"]), "198.51.100.7\n");
    let large = dig(&["large.example", "TXT"]);
    assert!(large.contains("Truncated, retrying in TCP mode") && large.contains("ANSWER: 30"), "{large}");
    drop(upstream);

    assert_eq!(dig(&["+short", "www.example"]), "198.51.100.7\n");
    let other = dig(&["other.example"]);
    assert!(other.contains("status: SERVFAIL"), "{other}");
    assert_eq!(dig(&["+short", "web.pvmlab.local"]), "10.77.0.50\n");
    let health = health();
    let dns = health.dns.unwrap();
    assert!(
        dns.counts.cached >= 1 && dns.counts.failed >= 1 && dns.counts.local >= 1 && dns.counts.forwarded >= 3,
        "{dns:?}"
    );
    assert_eq!(dns.upstreams.len(), 1);
    assert!(!dns.upstreams[0].answers, "{dns:?}");
}

#[test]
fn a_server_that_is_not_there_costs_nothing_and_one_that_is_silent_a_second() {
    let _namespace = Namespace::enter().unwrap();
    let _upstream = NameServer::start(GOOD);
    let _silent = UdpSocket::bind((SILENT, 53)).unwrap();
    let server = with_web(&format!("[dns]\nupstreams = ['{ABSENT}', '{SILENT}', '{GOOD}']\n"));

    for name in ["a.example", "b.example", "c.example"] {
        assert_eq!(dig(&["+short", "+time=4", name]), "198.51.100.7\n");
    }

    // Both are known by now, and nobody waits for them.
    server.wait_for_log(&format!("a name server does not answer upstream={ABSENT}:53"));
    server.wait_for_log(&format!("a name server does not answer upstream={SILENT}:53"));
    let dns = health().dns.unwrap();
    assert_eq!(dns.upstreams.iter().map(|upstream| upstream.answers).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!((dns.counts.failed, dns.counts.forwarded), (0, 3));
}

#[test]
fn where_all_are_silent_the_client_is_told_before_it_gives_up() {
    let _namespace = Namespace::enter().unwrap();
    let _silent = UdpSocket::bind((SILENT, 53)).unwrap();
    let _server = with_web(&format!("[dns]\nupstreams = ['{SILENT}']\n"));

    let began = Instant::now();
    let told = dig(&["+time=60", "www.example"]);

    assert!(told.contains("status: SERVFAIL"), "{told}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn this_machines_name_servers_are_followed() {
    let _namespace = Namespace::enter().unwrap();
    let _upstream = NameServer::start(GOOD);
    let mut server = Server::configured(ON_THE_BRIDGE);
    let resolv = server.path("resolv.conf");
    fs::write(&resolv, format!("nameserver {SERVER}\n")).unwrap();

    server.spawn_where(&format!("mount --bind {} /etc/resolv.conf", resolv.display()), &[]);
    server.wait_for_log("no name server is known for names that are not the lab's");
    server.wait_for_log("ready");
    assert!(dig(&["www.example"]).contains("status: SERVFAIL"));
    fs::write(&resolv, format!("nameserver {GOOD}\n")).unwrap();

    server.wait_for_log("other name servers");
    assert_eq!(dig(&["+short", "www.example"]), "198.51.100.7\n");
}

#[test]
fn who_asks_too_often_is_not_heard_and_others_are() {
    let namespace = Namespace::enter().unwrap();
    let _server = with_web("[dns]\nqueries-per-second = 50\n");

    let answered = elsewhere(&namespace, || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let question = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03web\x06pvmlab\x05local\0\0\x01\0\x01";
        (0..2000).for_each(|_| drop(socket.send_to(question, (SERVER, 53))));
        std::iter::from_fn(|| socket.recv(&mut [0; 512]).ok()).count()
    });

    assert!((50..1000).contains(&answered), "{answered}");
    // Not all the others: what the socket has no room for, the kernel drops.
    assert!(health().dns.unwrap().counts.limited > 0);
    assert_eq!(dig(&["+short", "web.pvmlab.local"]), "10.77.0.50\n");
}

#[test]
fn what_is_no_question_disturbs_nobody() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = with_web("");
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();

    for length in [0, 1, 11, 12, 13, 512, 1400, 9000] {
        socket.send_to(&vec![0xff; length], (SERVER, 53)).unwrap();
        socket.send_to(&vec![0x00; length], (SERVER, 53)).unwrap();
    }

    assert_eq!(dig(&["+short", "web.pvmlab.local"]), "10.77.0.50\n");
    assert!(server.stop().success());
}

#[test]
fn the_port_in_use_names_its_owner_and_how_to_do_without() {
    let _namespace = Namespace::enter().unwrap();
    let _other = UdpSocket::bind("0.0.0.0:53").unwrap();
    let mut server = Server::configured(ON_THE_BRIDGE);

    assert_eq!(server.fail().code(), Some(1));

    let own = format!("(pid {}): stop it first; or answer no names: `enabled = false` in [dns]", std::process::id());
    assert!(server.log().contains("error: address in use: UDP port 53 is held by "), "{}", server.log());
    assert!(server.log().contains(&own), "{}", server.log());
    server.configure(&format!("{ON_THE_BRIDGE}[dns]\nenabled = false\n"));
    server.start();
}

/// As systemd-resolved and others do it, who hold the port at addresses of their own.
#[test]
fn who_has_the_port_at_another_address_is_no_hindrance() {
    let _namespace = Namespace::enter().unwrap();
    let _stub = UdpSocket::bind("127.0.0.53:53").unwrap();

    let _server = with_web("");

    assert_eq!(dig(&["+short", "web.pvmlab.local"]), "10.77.0.50\n");
}

/// A server with a machine `web`.
fn with_web(config: &str) -> Server {
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}{config}"));
    server.define("web.toml", &definition("web", 1, "10.77.0.50"));
    server.start_as_a_service();
    server
}

/// What `dig` prints of a question to the server.
fn dig(question: &[&str]) -> String {
    let mut command = Command::new("dig");
    command.arg(format!("@{SERVER}")).args(["+tries=1", "+time=20"]).args(question);
    let output = command.output().expect("dig: install the package bind9-dnsutils");
    String::from_utf8(output.stdout).unwrap()
}

/// What the server says of itself.
fn health() -> Health {
    serde_json::from_str(&http_get(&format!("http://{SERVER}/health")).1).unwrap()
}

/// Does something on a host that is plugged into the bridge.
fn elsewhere<T: Send + 'static>(namespace: &Namespace, work: impl FnOnce() -> T + Send + 'static) -> T {
    namespace.neighbour(work).unwrap().join().unwrap().unwrap()
}

/// A name server elsewhere, as far as names in `example` go.
struct NameServer {
    _process: Process,
}

impl NameServer {
    fn start(address: Ipv4Addr) -> Self {
        let mut command = bound("dnsmasq");
        command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root"]);
        command.args(["--pid-file=", "--bind-interfaces", "--except-interface=lab", "--local=/example/"]);
        command.arg(format!("--listen-address={address}"));
        for name in ["www", "a", "b", "c"] {
            command.arg(format!("--host-record={name}.example,198.51.100.7,60"));
        }
        for number in 0..30 {
            command.arg(format!("--txt-record=large.example,{number}{}", "x".repeat(100)));
        }
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let process = Process::start("dnsmasq (install the package dnsmasq-base)", &mut command).unwrap();
        let answers = || {
            let mut command = Command::new("dig");
            command.args([&format!("@{address}"), "+short", "+tries=1", "+time=1", "www.example"]);
            Ok((command.output()?.stdout == b"198.51.100.7\n").then_some(()))
        };
        until(LIMIT, answers).unwrap().expect("dnsmasq answers: is the package dnsmasq-base installed?");
        Self { _process: process }
    }
}

const GOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const SILENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const ABSENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);
const LAPTOP: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 2]);
const THIEF: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 3]);
