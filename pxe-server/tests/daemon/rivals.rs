//! Other DHCP servers on the link.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};

use dhcproto::Encodable as _;
use dhcproto::v4::{DhcpOption, Message, MessageType, Opcode};
use lab_model::MacAddr;
use lab_tests::Namespace;
use lab_tests::process::until;

use crate::client::http_get;
use crate::server::{LIMIT, ON_THE_BRIDGE, Server};

#[test]
fn another_server_is_told_to_the_owner() {
    let namespace = Namespace::enter().unwrap();
    let server = Server::started();

    say_until(&namespace, &server, (MessageType::Offer, 67, 68), "another DHCP server answers machines here");

    server.wait_for_log("server=10.77.0.66");
    let (_, health) = http_get("http://10.77.0.1/health");
    assert!(health.contains(r#""other-dhcp-servers":["10.77.0.66"]"#), "{health}");
}

#[test]
fn another_server_is_known_by_the_machines_that_choose_it_where_port_68_is_in_use() {
    let namespace = Namespace::enter().unwrap();
    let _client = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68)).unwrap();
    let server = Server::started();
    server.wait_for_log("other DHCP servers are known only by the machines that choose them");

    say_until(&namespace, &server, (MessageType::Request, 68, 67), "another DHCP server answers machines here");
}

#[test]
fn where_others_may_answer_nobody_minds() {
    let namespace = Namespace::enter().unwrap();
    let mut server =
        Server::configured(&format!("{ON_THE_BRIDGE}[dhcp]\nauthoritative = false\n[log]\nlevel = 'debug'\n"));
    server.start();

    say_until(&namespace, &server, (MessageType::Request, 68, 67), "meant for server 10.77.0.66");

    assert!(!server.log().contains("another DHCP server"), "{}", server.log());
}

/// Broadcasts what the server 10.77.0.66 says, or what a client says to it, from one port to another until this stands in
/// the log: a network that was plugged in just now may lose what is sent first.
fn say_until(namespace: &Namespace, server: &Server, (kind, from, to): (MessageType, u16, u16), text: &'static str) {
    let none = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new(none, none, none, none, &MacAddr::new([0x52, 0x54, 0, 0, 0, 1]).bytes());
    if kind == MessageType::Offer {
        message.set_opcode(Opcode::BootReply);
    }
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    message.opts_mut().insert(DhcpOption::RequestedIpAddress(Ipv4Addr::new(10, 77, 0, 67)));
    message.opts_mut().insert(DhcpOption::ServerIdentifier(Ipv4Addr::new(10, 77, 0, 66)));
    let (datagram, log) = (message.to_vec().unwrap(), server.path("server.log"));
    let saying = namespace.neighbour(move || {
        let socket = UdpSocket::bind((none, from)).unwrap();
        socket.set_broadcast(true).unwrap();
        let heard = || {
            socket.send_to(&datagram, (Ipv4Addr::BROADCAST, to))?;
            Ok(fs::read_to_string(&log)?.contains(text).then_some(()))
        };
        until(LIMIT, heard).unwrap().expect("heard");
    });
    saying.unwrap().join().unwrap().unwrap();
}
