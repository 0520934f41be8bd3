//! The interface's configuration, from a DHCP server that does what a test tells it. Each test has a network of its own.

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use installer::dhcp::Lease;
use installer::link::{self, Link};
use installer::network::ipv6::Origin;
use installer::network::{ipv4, ipv6};
use lab_model::{Ipv4Net, MacAddr};
use lab_tests::process::{Process, bound, run};
use lab_tests::{BRIDGE, Namespace, SERVER};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{setsockopt, sockopt};

#[test]
fn the_interface_gets_what_the_server_gives() {
    let lab = Lab::new([Offer, Ack(3600)]);

    let host = lab.configure();

    assert_eq!((host.lease.address, host.lease.router, host.lease.server), (given(), Some(SERVER), SERVER));
    assert!(host.state.contains("inet 10.77.0.100/24 brd 10.77.0.255"), "{}", host.state);
    assert!(host.state.contains("default via 10.77.0.1 dev eth0 proto dhcp"), "{}", host.state);
    assert_eq!(lab.asked(2), ["discover", "request 10.77.0.100"]);
}

#[test]
fn the_addresses_of_an_earlier_attempt_are_gone() {
    let lab = Lab::new([Offer, Ack(3600)]);

    let host = lab.configure_after(&["10.77.0.55/24", "10.77.0.56/24", "192.0.2.7/32"]);

    let addresses: Vec<_> = host.state.lines().filter_map(|line| line.trim().strip_prefix("inet ")).collect();
    assert_eq!(addresses, ["10.77.0.100/24 brd 10.77.0.255 scope global eth0"], "{}", host.state);
}

#[test]
fn a_packet_that_gets_lost_is_sent_again() {
    let lab = Lab::new([Silence, Offer, Silence, Ack(3600)]);

    let host = lab.configure();

    assert_eq!(host.lease.address, given());
    assert_eq!(lab.asked(4), ["discover", "discover", "request 10.77.0.100", "request 10.77.0.100"]);
}

#[test]
fn a_refusal_starts_from_the_beginning() {
    let lab = Lab::new([Offer, Nak, Offer, Ack(3600)]);

    let host = lab.configure();

    assert_eq!(host.lease.address, given());
    assert_eq!(lab.asked(4), ["discover", "request 10.77.0.100", "discover", "request 10.77.0.100"]);
}

#[test]
fn a_lease_is_renewed_while_it_is_needed() {
    let lab = Lab::new([Offer, Ack(12), Silence, Ack(12), Ack(3600)]);

    let _host = lab.configure();

    assert_eq!(
        lab.asked(5),
        ["discover", "request 10.77.0.100", "renew 10.77.0.100", "renew 10.77.0.100", "renew 10.77.0.100"]
    );
}

#[test]
fn an_address_of_ipv6_comes_from_a_real_server_and_is_the_only_one() {
    let namespace = Namespace::enter_ipv6().expect("a network of the test's own");
    let folder = tempfile::tempdir().expect("a folder");
    let mut dnsmasq = bound(Path::new("dnsmasq"));
    dnsmasq.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root", "--pid-file="]);
    dnsmasq.arg(format!("--dhcp-leasefile={}", folder.path().join("leases").display()));
    dnsmasq.args([&format!("--interface={BRIDGE}"), "--enable-ra", "--dhcp-range=fd77::100,fd77::1ff,slaac,64,1h"]);
    let _dnsmasq = Process::start("dnsmasq", &mut dnsmasq).expect("dnsmasq is installed");
    let (told, configured) = channel();

    let host = namespace.neighbour(move || {
        run("ip", &["link", "set", "eth0", "down"]).expect("an interface");
        let link = interface();
        link::switch_on(&link).expect("root of this network");
        let origin = ipv6::configure(&link).expect("the server gives an address");
        let _ = told.send((origin, link::addresses6(&link).expect("the kernel lists them")));
    });
    host.expect("a host");
    let (origin, addresses) = configured.recv_timeout(PATIENCE).expect("it is configured");

    let Origin::Dhcp(address) = origin else { panic!("an address by DHCPv6: {origin:?}") };
    let range = "fd77::100".parse::<Ipv6Addr>().expect("an address").."fd77::200".parse().expect("an address");
    assert!(range.contains(&address), "{address}");
    let beyond: Vec<_> = addresses.iter().filter(|address| !address.is_unicast_link_local()).collect();
    assert_eq!(beyond, [&address]);
}

/// What the server does with one message.
#[derive(Clone, Copy)]
enum Reaction {
    Silence,
    Offer,
    /// With a lease of so many seconds.
    Ack(u32),
    Nak,
}
use Reaction::{Ack, Nak, Offer, Silence};

/// A network with a server at [`SERVER`], and room for one host.
struct Lab {
    namespace: Namespace,
    heard: Receiver<String>,
}

/// A host that is configured, and stays until it is dropped.
struct Host {
    lease: Lease,
    /// Its addresses and routes, as ip(8) shows them.
    state: String,
    _alive: Sender<()>,
}

impl Lab {
    /// A server that reacts in this order, and is silent afterwards.
    fn new(reactions: impl IntoIterator<Item = Reaction>) -> Self {
        let namespace = Namespace::enter().expect("a network of the test's own");
        let socket = UdpSocket::bind("0.0.0.0:67").expect("a port in an empty network");
        socket.set_broadcast(true).expect("any socket may");
        setsockopt(&socket, sockopt::BindToDevice, &BRIDGE.into()).expect("the bridge is there");
        let reactions: Vec<_> = reactions.into_iter().collect();
        let (told, heard) = channel();
        thread::spawn(move || serve(&socket, &reactions, &told));
        Self { namespace, heard }
    }

    /// Configures the host's interface, which has no address before.
    fn configure(&self) -> Host {
        self.configure_after(&[])
    }

    /// The same for an interface that has these addresses from before.
    fn configure_after(&self, old: &'static [&'static str]) -> Host {
        let (told, configured) = channel();
        let (alive, ended) = channel::<()>();
        let host = self.namespace.neighbour(move || {
            run("ip", &["address", "flush", "dev", "eth0"]).expect("an interface");
            run("ip", &["link", "set", "eth0", "down"]).expect("an interface");
            for address in old {
                run("ip", &["address", "add", address, "dev", "eth0"]).expect("an interface");
            }
            let link = interface();
            link::switch_on(&link).expect("root of this network");
            let lease = ipv4::configure(&link).expect("the server gives an address");
            let show = |what| run("ip", &["-4", what, "show"]).expect("ip(8) lists it");
            let _ = told.send((lease, show("address") + &show("route")));
            let _ = ended.recv();
        });
        host.expect("a host");
        let (lease, state) = configured.recv_timeout(PATIENCE).expect("it is configured");
        Host { lease, state, _alive: alive }
    }

    /// The next messages that the server heard.
    fn asked(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.heard.recv_timeout(PATIENCE).expect("another message")).collect()
    }
}

/// The host's `eth0`; sysfs does not show it, because that shows the network of whoever mounted it.
fn interface() -> Link {
    let text = run("ip", &["-o", "link", "show", "eth0"]).expect("an interface");
    let mut words = text.split_whitespace().skip_while(|word| *word != "link/ether");
    let mac: MacAddr = words.nth(1).expect("an address after its kind").parse().expect("an address");
    Link { name: "eth0".to_owned(), index: if_nametoindex("eth0").expect("an interface"), mac }
}

fn serve(socket: &UdpSocket, reactions: &[Reaction], told: &Sender<String>) {
    for reaction in reactions {
        let mut request = [0; 1500];
        let (_, from) = socket.recv_from(&mut request).expect("a message");
        let (kind, current) =
            (option(&request, 53), Ipv4Addr::from([request[12], request[13], request[14], request[15]]));
        let words = match kind {
            [1] => "discover".to_owned(),
            [3] if !current.is_unspecified() => format!("renew {current}"),
            [3] => {
                let wanted: [u8; 4] = option(&request, 50).try_into().expect("an address");
                format!("request {}", Ipv4Addr::from(wanted))
            }
            _ => format!("{kind:?}"),
        };
        let _ = told.send(words);
        let answer = match *reaction {
            Silence => continue,
            Offer => answer(&request, 2, 3600),
            Ack(seconds) => answer(&request, 5, seconds),
            Nak => answer(&request, 6, 0),
        };
        // RFC 2131 §4.1: to the client's address where it has one, by broadcast otherwise.
        let to = if current.is_unspecified() { (Ipv4Addr::BROADCAST, 68).into() } else { from };
        socket.send_to(&answer, to).expect("a network");
    }
}

fn option(message: &[u8], wanted: u8) -> &[u8] {
    let mut rest = &message[240..];
    while rest[0] != wanted {
        rest = &rest[2 + usize::from(rest[1])..];
    }
    &rest[2..2 + usize::from(rest[1])]
}

fn answer(request: &[u8], kind: u8, seconds: u32) -> Vec<u8> {
    let mut answer = request[..240].to_vec();
    answer[0] = 2;
    answer[16..20].copy_from_slice(&given().address().octets());
    answer.extend_from_slice(&[53, 1, kind, 54, 4, 10, 77, 0, 1, 1, 4, 255, 255, 255, 0, 3, 4, 10, 77, 0, 1, 51, 4]);
    answer.extend_from_slice(&seconds.to_be_bytes());
    answer.push(255);
    answer
}

fn given() -> Ipv4Net {
    Ipv4Net::new(Ipv4Addr::new(10, 77, 0, 100), 24).expect("a prefix length")
}

/// How long something may take that happens at once, or after one of the client's own delays.
const PATIENCE: Duration = Duration::from_secs(30);
