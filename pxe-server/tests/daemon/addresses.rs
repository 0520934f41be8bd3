//! Addresses: given, kept, and remembered.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, UdpSocket};

use lab_model::MacAddr;
use lab_tests::process::{run, until};
use lab_tests::{BRIDGE, NEIGHBOUR, Namespace};

use crate::client::{DhcpClient, elsewhere, tftp_read};
use crate::server::{LIMIT, ON_THE_BRIDGE, Server, definition};

#[test]
fn a_defined_machine_gets_its_address_and_a_stranger_one_from_the_pool() {
    let namespace = Namespace::enter().unwrap();
    let server = Server::started();
    server.define("web.toml", &definition("web", 1, "10.77.0.50"));
    server.wait_for_log("defined machine=\"web\"");

    let web = elsewhere(&namespace, || DhcpClient::new(WEB).address());
    let stranger = elsewhere(&namespace, || DhcpClient::new(STRANGER).address());

    assert_eq!(web, RESERVED);
    assert!((128..=254).contains(&stranger.octets()[3]), "{stranger}");
    server.wait_for_log("stage=\"ack\" destination=Broadcast");
}

#[test]
fn a_reply_reaches_a_client_that_answers_no_arp() {
    let namespace = Namespace::enter().unwrap();
    let server = Server::started();
    server.define("web.toml", &definition("web", 1, "10.77.0.50"));
    server.wait_for_log("defined machine=\"web\"");

    let address = elsewhere(&namespace, deaf_client);

    assert_eq!(address, RESERVED);
    server.wait_for_log("stage=\"ack\" destination=Hardware");
}

#[test]
fn what_everybody_is_told_does_not_come_back_to_the_server_itself() {
    let namespace = Namespace::enter().unwrap();
    let listener = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let server = Server::started();

    elsewhere(&namespace, || DhcpClient::new(STRANGER).address());

    server.wait_for_log("stage=\"ack\" destination=Broadcast");
    let heard = listener.recv(&mut [0; 1500]).map_err(|error| error.kind());
    assert_eq!(heard, Err(ErrorKind::WouldBlock));
}

#[test]
fn a_reply_that_the_interface_carries_in_no_frame_is_divided() {
    let namespace = Namespace::enter().unwrap();
    // Less than any DHCP message has with its headers.
    run("ip", &["link", "set", BRIDGE, "mtu", "296"]).unwrap();
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}[log]\nlevel = 'debug'\n"));
    server.start();

    elsewhere(&namespace, || DhcpClient::new(STRANGER).address());

    server.wait_for_log("a DHCP reply cannot be sent as a frame");
}

#[test]
fn what_is_fetched_from_an_address_is_told_of_the_machine_that_has_it() {
    let namespace = Namespace::enter().unwrap();
    let server = Server::started();
    server.define("web.toml", &definition("web", 1, &NEIGHBOUR.to_string()));
    server.wait_for_log("defined machine=\"web\"");

    elsewhere(&namespace, || {
        // It has the address already, so that must be its own hardware address too.
        run("ip", &["link", "set", "eth0", "address", &WEB.to_string()]).unwrap();
        assert_eq!(DhcpClient::new(WEB).address(), NEIGHBOUR);
        tftp_read("autoexec.ipxe").unwrap();
    });

    for event in ["offer", "ack", "transfer"] {
        server.wait_for("state/events.jsonl", &format!("\"mac\":\"{WEB}\",\"machine\":\"web\",\"event\":\"{event}\""));
    }
}

#[test]
fn without_the_capability_such_a_reply_is_broadcast() {
    let namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(ON_THE_BRIDGE);
    server.define("web.toml", &definition("web", 1, "10.77.0.50"));
    server.start_with("net_bind_service");

    let address = elsewhere(&namespace, deaf_client);

    assert_eq!(address, RESERVED);
    server.wait_for_log("this process lacks CAP_NET_RAW: machines without an address are answered by broadcast");
}

#[test]
fn a_killed_server_remembers_its_leases_though_the_last_line_was_cut_off() {
    let namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}[dhcp]\npool = '10.77.0.200-10.77.0.200'\n"));
    server.start();
    assert_eq!(elsewhere(&namespace, || DhcpClient::new(WEB).address()), ONLY_ONE);

    server.kill();
    let mut leases = File::options().append(true).open(server.path("state/leases")).unwrap();
    leases.write_all(b"0badcafe {\"mac\":\"52:54:00:").unwrap();
    server.start();

    let log = server.path("server.log");
    elsewhere(&namespace, move || {
        let client = DhcpClient::new(STRANGER);
        let refused = || {
            client.send_discover();
            Ok(fs::read_to_string(&log)?.contains("the pool is exhausted").then_some(()))
        };
        until(LIMIT, refused).unwrap().expect("refused");
    });
    assert_eq!(elsewhere(&namespace, || DhcpClient::new(WEB).address()), ONLY_ONE);
    server.wait_for_log("the last lease was cut off and is dropped");
}

#[test]
fn what_is_no_dhcp_is_counted_and_disturbs_nobody() {
    let namespace = Namespace::enter().unwrap();
    let mut server = Server::started();

    elsewhere(&namespace, || {
        let client = DhcpClient::new(STRANGER);
        // A network that was plugged in just now may lose what is sent first.
        client.address();
        for length in [0, 1, 239, 240, 1400] {
            client.send(&vec![0xff; length]);
        }
        client.address()
    });

    server.stop();
    server.wait_for_log("ignored reason=\"too-short\" times=3");
}

/// A client at [`RESERVED`] already, so that it hears what is sent there; but without an answer to ARP, only who knows
/// its hardware address can send there.
fn deaf_client() -> Ipv4Addr {
    run("ip", &["link", "set", "eth0", "address", &WEB.to_string()]).unwrap();
    run("ip", &["address", "add", &format!("{RESERVED}/24"), "dev", "eth0"]).unwrap();
    fs::write("/proc/sys/net/ipv4/conf/eth0/arp_ignore", "8").unwrap();
    DhcpClient::unicast(WEB).address()
}

const WEB: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);
const STRANGER: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 2]);
const RESERVED: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 50);
const ONLY_ONE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 200);
