//! What people do with leases: look at them, take them away, bring them from another server.

use std::fs;
use std::net::Ipv4Addr;
use std::time::{SystemTime, UNIX_EPOCH};

use dhcproto::v4::MessageType;
use lab_model::MacAddr;
use lab_tests::Namespace;
use lab_tests::process::run;

use crate::client::{Answer, DhcpClient, elsewhere};
use crate::ipv6::solicit_until;
use crate::server::{ON_THE_BRIDGE, Server, definition};

#[test]
fn a_client_that_has_its_address_from_kea_renews_it_here() {
    let namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}[dhcp]\npool = '10.77.0.150-10.77.0.152'\n"));
    fs::write(server.path("kea-leases4.csv"), current(KEA)).unwrap();

    let (stdout, stderr, status) = server.leases(&["import", "kea-leases4.csv"]);
    assert_eq!((stdout.as_str(), stderr.as_str()), ("imported 2 IPv4 and 0 IPv6 leases of Kea\n", ""));
    assert!(status.success());
    server.start();
    let (renewed, other) = elsewhere(&namespace, || {
        run("ip", &["address", "add", "10.77.0.150/24", "dev", "eth0"]).unwrap();
        let renewed = DhcpClient::new(mac(1)).renew(FIRST);
        (renewed, DhcpClient::new(mac(9)).address())
    });

    assert_eq!(renewed, Answer { kind: MessageType::Ack, address: FIRST });
    assert_eq!(other, Ipv4Addr::new(10, 77, 0, 152), "the only address that Kea had not given");
    let (listed, ..) = server.leases(&["list", "web"]);
    assert!(listed.contains("10.77.0.150") && listed.contains("leased") && !listed.contains("10.77.0.152"), "{listed}");
    let (exported, ..) = server.leases(&["export", "--format", "kea"]);
    assert!(exported.contains("10.77.0.150,52:54:00:00:00:01,,3600,"), "{exported}");
}

#[test]
fn a_client_keeps_the_ipv6_address_that_another_server_gave_it() {
    let namespace = Namespace::enter().unwrap();
    run("ip", &["address", "add", "fd00:77::1/64", "dev", "lab", "nodad"]).unwrap();

    for (file, text, ended, lasting, counts, address) in [
        ("kea-leases6.csv", KEA6, "1795876", "2095876", "0 IPv4 and 2 IPv6 leases of Kea", "fd00:77::1001"),
        ("dhcpd6.leases", ISC6, " 2026/", " 2036/", "0 IPv4 and 2 IPv6 leases of ISC dhcpd", "fd00:77::1ad7"),
        ("dnsmasq.leases", DNSMASQ, "1795876", "2095876", "3 IPv4 and 2 IPv6 leases of dnsmasq", "fd00:77::1939"),
    ] {
        let mut server = Server::configured(ON_THE_BRIDGE);
        fs::write(server.path(file), text.replace(ended, lasting)).unwrap();

        let (stdout, stderr, status) = server.leases(&["import", file]);

        assert_eq!((stdout, stderr), (format!("imported {counts}\n"), String::new()));
        assert!(status.success());
        server.start();
        let log = server.path("server.log");
        elsewhere(&namespace, move || solicit_until(mac(1), &log, &format!("address=\"{address}\"")));
        assert!(server.stop().success());
    }
}

#[test]
fn leases_are_not_imported_under_a_running_server() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::started();
    fs::write(server.path("kea-leases4.csv"), current(KEA)).unwrap();

    let (_, refused, status) = server.leases(&["import", "kea-leases4.csv"]);
    let (planned, _, _) = server.leases(&["import", "--dry-run", "kea-leases4.csv"]);

    assert!(!status.success());
    let process = format!("another pxe-server, process {}, has the lock", server.id());
    assert!(refused.contains("leases are imported while no server runs") && refused.contains(&process), "{refused}");
    assert_eq!(planned, "would import 2 IPv4 and 0 IPv6 leases of Kea\n");
    assert_eq!(fs::read(server.path("state/leases")).unwrap(), b"");
}

#[test]
fn an_import_says_what_it_leaves_out_and_why() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(&format!("{ON_THE_BRIDGE}[dhcp]\npool = '10.77.0.150-10.77.0.160'\n"));
    server.define("db.toml", &definition("db", 0x50, "10.77.0.160"));
    let line =
        |host: &str, mac: u8, expires: u64| format!("{host},52:54:00:00:00:{mac:02x},,3600,{expires},1,0,0,,0,\n");
    let later = now() + 1800;
    let file = [
        format!("{}\n", KEA.lines().next().unwrap()),
        line("10.77.0.150", 1, later),
        line("10.77.0.151", 2, later),
        "10.77.0.1,52:54\n".to_owned(),
        line("10.77.0.151", 3, later),
        line("10.77.0.152", 4, 1000),
        line("10.88.0.5", 5, later),
        line("10.77.0.20", 6, later),
        line("10.77.0.160", 7, later),
        line("10.77.0.153", 3, later - 60),
        "10.77.0.154,,,3600,1,1,0,0,,1,\n".to_owned(),
    ];
    fs::write(server.path("leases.csv"), file.concat()).unwrap();

    let (_, refused, status) = server.leases(&["import", "leases.csv"]);
    assert!(!status.success() && refused.contains("nothing is imported: 1 of 10"), "{refused}");
    assert!(!server.path("state/leases").exists());
    let (stdout, stderr, status) = server.leases(&["import", "leases.csv", "--skip-bad-lines"]);

    insta::assert_snapshot!("import", format!("{stdout}\n{stderr}\n{status}"));
    let (listed, ..) = server.leases(&["list", "--json"]);
    let addresses: Vec<_> = listed.lines().map(|line| line.split('"').nth(3).unwrap()).collect();
    assert_eq!(addresses, ["10.77.0.150", "10.77.0.151"]);
}

#[test]
fn what_is_exported_is_imported_elsewhere() {
    let _namespace = Namespace::enter().unwrap();
    let pool = format!("{ON_THE_BRIDGE}[dhcp]\npool = '10.77.0.150-10.77.0.160'\n");
    let (from, to) = (Server::configured(&pool), Server::configured(&pool));
    fs::write(from.path("kea-leases4.csv"), current(KEA)).unwrap();
    from.leases(&["import", "kea-leases4.csv"]);

    for format in ["json", "kea", "dnsmasq", "isc"] {
        let (exported, ..) = from.leases(&["export", "--format", format]);
        fs::write(to.path("leases"), exported).unwrap();
        let (stdout, stderr, _) = to.leases(&["import", "leases"]);
        assert!(stdout.starts_with("imported 2 IPv4"), "{format}: {stdout}{stderr}");
        let (listed, expected) = (to.leases(&["list"]).0, from.leases(&["list"]).0);
        assert_eq!(listed, expected, "{format}");
        fs::remove_file(to.path("state/leases")).unwrap();
    }
}

/// What Kea 2.2 wrote while udhcpc and dhclient asked it.
const KEA: &str = include_str!("../../../crates/pxe-proto/tests/lease_files/kea-leases4.csv");

/// What Kea, ISC dhcpd and dnsmasq wrote of the IPv6 leases that they gave two machines.
const KEA6: &str = include_str!("../../../crates/pxe-proto/tests/lease_files/kea-leases6.csv");
const ISC6: &str = include_str!("../../../crates/pxe-proto/tests/lease_files/dhcpd6.leases");
const DNSMASQ: &str = include_str!("../../../crates/pxe-proto/tests/lease_files/dnsmasq.leases");

const FIRST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 150);

/// The file as it would be if it had been written just now.
fn current(file: &str) -> String {
    file.replace("1795876825", &(now() + 3600).to_string())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn mac(last: u8) -> MacAddr {
    MacAddr::new([0x52, 0x54, 0, 0, 0, last])
}
