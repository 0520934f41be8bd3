//! Beside dnsmasq, which gives the addresses and knows nothing of any boot.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, OptionCode};
use dhcproto::{Decodable as _, Decoder, Encodable as _};
use lab_model::MacAddr;
use lab_tests::process::{run, until};
use lab_tests::{Dnsmasq, Host, Namespace, SERVER};

use crate::client::http_get;
use crate::server::{LIMIT, ON_THE_BRIDGE, Server, definition};

#[test]
fn a_machine_has_its_address_from_the_other_server_and_its_boot_file_from_us() {
    let network = Network::new();
    let _other = Dnsmasq::elsewhere().unwrap();
    let server = network.server();

    let (address, boot_file) = network.machine.run(|| boot(Dnsmasq::ADDRESS)).unwrap();

    assert_eq!(boot_file, ("ipxe-arm64.efi".to_owned(), SERVER));
    assert_eq!(server.log().matches("proxy-offer").count(), 2, "one for each question: {}", server.log());
    let (_, health) = http_get("http://10.77.0.1/health");
    assert!(health.contains(r#""addresses-from":["10.77.0.66"]"#), "{health}");
    assert!(!health.contains("other-dhcp-servers") && !health.contains("leases"), "{health}");
    let (_, machine) = http_get("http://10.77.0.1/machines/web");
    assert!(machine.contains(&format!(r#""address":"{address}","address-from":"10.77.0.66""#)), "{machine}");
    for event in ["directed", "elsewhere"] {
        assert!(machine.contains(&format!(r#""event":"{event}""#)), "{event} is not in {machine}");
    }
    assert!(!server.log().contains("another DHCP server"), "{}", server.log());
}

#[test]
fn a_machine_is_known_by_its_hardware_address_wherever_its_address_is_from() {
    let network = Network::new();
    let server = network.server();
    // What a definition reserves is not what the other server gives.
    server.define("db.toml", &definition("db", 2, "10.77.0.77"));
    server.wait_for_log("machine=\"db\"");
    network.machine.ip(&["address", "flush", "dev", "eth0"]).unwrap();
    network.machine.ip(&["address", "add", "10.77.0.77/24", "dev", "eth0"]).unwrap();
    let ask = |path: &'static str| network.machine.run(move || http_get(&format!("http://10.77.0.1{path}"))).unwrap();

    assert_eq!(ask("/cloud-init/web/user-data").0, 200);
    let refused = (403, "this is for db alone, and 10.77.0.77 is not its address\n".to_owned());
    assert_eq!(ask("/cloud-init/db/user-data"), refused);

    // The same address, and another machine behind it.
    network.machine.ip(&["link", "set", "eth0", "address", "52:54:00:00:00:02"]).unwrap();
    run("ip", &["neigh", "flush", "dev", "lab"]).unwrap();
    assert_eq!((ask("/cloud-init/web/user-data").0, ask("/cloud-init/db/user-data").0), (403, 200));
}

#[test]
fn a_stranger_is_answered_by_the_other_server_alone_unless_everybody_is_told() {
    let network = Network::new();
    let _other = Dnsmasq::elsewhere().unwrap();
    let mut server = network.server_with(&format!("{KNOWN}[log]\nlevel = 'debug'\n"));

    network.machine.run(|| Client::new(STRANGER).discover(|offer| !offer.yiaddr().is_unspecified())).unwrap();

    server.wait_for_log("only machines that are defined boot from here");
    assert!(!server.log().contains("proxy-offer"), "{}", server.log());
    server.stop();
    server.configure(&format!("{ON_THE_BRIDGE}[dhcp]\nmode = 'proxy-all'\n"));
    server.start();
    let told = network.machine.run(|| Client::new(STRANGER).discover(|offer| offer.yiaddr().is_unspecified())).unwrap();
    assert_eq!(told.siaddr(), SERVER);
}

#[test]
fn a_stranger_boots_by_its_class_here_too() {
    let network = Network::new();
    let class = "[[dhcp.class]]\nname = 'boards'\nvendor-class = 'PXEClient*'\nprofile = 'hello'\n";
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}[dhcp]\nmode = 'proxy-all'\n{class}"));
    fs::create_dir_all(server.path("state/profiles/hello")).unwrap();
    let file = |name: &str, text: &str| fs::write(server.path("state/profiles/hello").join(name), text).unwrap();
    file("profile.toml", "kind = 'script'\nscript = 'boot'\n");
    file("boot", "#!ipxe\necho {{ machine.name }}\n");
    server.start();

    network.machine.run(|| Client::new(STRANGER).discover(|offer| offer.yiaddr().is_unspecified())).unwrap();

    let script = || http_get(&format!("http://10.77.0.1/ipxe?mac={STRANGER}&arch=arm64")).1;
    let boots = until(LIMIT, || Ok(script().contains("echo stranger-525400000009").then_some(()))).unwrap();
    boots.unwrap_or_else(|| panic!("{}\n{}", script(), server.log()));
}

#[test]
fn both_servers_may_be_on_one_machine() {
    let network = Network::new();
    let other = Dnsmasq::here().unwrap();
    let _server = network.server();

    let (address, boot_file) = network.machine.run(|| boot(SERVER)).unwrap();

    assert_eq!(boot_file, ("ipxe-arm64.efi".to_owned(), SERVER));
    // A lease is renewed at the server's own address: what is sent to the one is not taken by the other.
    let acknowledged = other.log().matches("DHCPACK").count();
    network.machine.run(move || Client::new(MAC).renew(address)).unwrap();
    let renewed = until(LIMIT, || Ok((other.log().matches("DHCPACK").count() > acknowledged).then_some(())));
    renewed.unwrap().unwrap_or_else(|| panic!("{}", other.log()));
}

#[test]
fn what_only_who_gives_addresses_can_use_is_refused() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(&format!("{KNOWN}pool = '10.77.0.100-10.77.0.200'\n"));

    let (_, refused, status) = server.check();

    assert!(!status.success());
    let problem = "has no effect, because another server gives the addresses (`mode` in [dhcp]): leave it out";
    assert!(refused.contains(&format!("config.toml:6: dhcp.pool: {problem}")), "{refused}");
    server.configure(KNOWN);
    let (report, problems, _) = server.check();
    assert!(
        report.contains("dhcp       another server gives addresses; machines that are defined"),
        "{report}{problems}"
    );
    assert!(!report.contains("\ndns ") && !report.contains("\npool "), "{report}");
}

const KNOWN: &str = "state = 'state'\n[lab]\ninterface = 'lab'\n[dhcp]\nmode = 'proxy-known'\n";
const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);
const STRANGER: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 9]);

/// The server's namespace, with a machine on its bridge.
struct Network {
    machine: Host,
    _namespace: Namespace,
}

impl Network {
    fn new() -> Self {
        let namespace = Namespace::enter().unwrap();
        let machine = Host::new().unwrap();
        machine.plug_into("machine").unwrap();
        run("ip", &["link", "set", "machine", "master", "lab"]).unwrap();
        machine.ip(&["link", "set", "eth0", "address", &MAC.to_string()]).unwrap();
        // A datagram needs a route, even one to everybody.
        machine.ip(&["address", "add", "10.77.0.9/24", "dev", "eth0"]).unwrap();
        machine.ip(&["route", "add", "default", "via", "10.77.0.1"]).unwrap();
        Self { machine, _namespace: namespace }
    }

    /// A server that knows the machine.
    fn server(&self) -> Server {
        self.server_with(KNOWN)
    }

    fn server_with(&self, config: &str) -> Server {
        let mut server = Server::configured(config);
        let text = "name = 'web'\narch = 'aarch64'\nmac = '52:54:00:00:00:01'\npxeboot = true\ndistro = 'debian-12'\n";
        server.define("web.toml", text);
        server.start();
        server
    }
}

/// Boots as EDK2's PXE does: takes the address that `server` offers, then asks the boot server that answered too. Returns the
/// address, and the name of the boot file with where that is served.
fn boot(server: Ipv4Addr) -> (Ipv4Addr, (String, Ipv4Addr)) {
    let client = Client::new(MAC);
    let address = client.discover(|offer| !offer.yiaddr().is_unspecified()).yiaddr();
    let told = client.discover(|offer| offer.yiaddr().is_unspecified());
    assert_eq!(told.opts().get(OptionCode::ClassIdentifier), Some(&DhcpOption::ClassIdentifier(b"PXEClient".to_vec())));
    let mut request = client.message(MessageType::Request);
    request.opts_mut().insert(DhcpOption::RequestedIpAddress(address));
    request.opts_mut().insert(DhcpOption::ServerIdentifier(server));
    let ack = client.ask(&request, (Ipv4Addr::BROADCAST, 67), |reply| !reply.yiaddr().is_unspecified());
    assert_eq!(ack.yiaddr(), address);

    run("ip", &["address", "add", &format!("{address}/24"), "dev", "eth0"]).unwrap();
    let boot_server = Client { socket: Client::socket(SocketAddrV4::new(address, 4011)), mac: MAC };
    let mut request = boot_server.message(MessageType::Request);
    request.set_ciaddr(address);
    let ack = boot_server.ask(&request, (told.siaddr(), 4011), |_| true);
    assert_eq!((ack.yiaddr(), ack.ciaddr()), (Ipv4Addr::UNSPECIFIED, address));
    let name = String::from_utf8(ack.fname().unwrap().split(|byte| *byte == 0).next().unwrap().to_vec()).unwrap();
    (address, (name, ack.siaddr()))
}

/// A PXE client of 64-bit Arm UEFI.
struct Client {
    socket: UdpSocket,
    mac: MacAddr,
}

impl Client {
    fn new(mac: MacAddr) -> Self {
        Self { socket: Self::socket(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68)), mac }
    }

    fn socket(address: SocketAddrV4) -> UdpSocket {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_broadcast(true).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket
    }

    /// The first offer that is wanted.
    fn discover(&self, wanted: impl Fn(&Message) -> bool) -> Message {
        self.ask(&self.message(MessageType::Discover), (Ipv4Addr::BROADCAST, 67), wanted)
    }

    /// Asks to keep an address, as who uses it does.
    fn renew(&self, address: Ipv4Addr) {
        let mut request = self.message(MessageType::Request);
        request.set_ciaddr(address);
        self.socket.send_to(&request.to_vec().unwrap(), (SERVER, 67)).unwrap();
    }

    /// The first answer that is wanted.
    fn ask(&self, message: &Message, to: (Ipv4Addr, u16), wanted: impl Fn(&Message) -> bool) -> Message {
        self.socket.send_to(&message.to_vec().unwrap(), to).unwrap();
        let mut buffer = [0; 1500];
        loop {
            let (length, _) = self.socket.recv_from(&mut buffer).unwrap();
            let reply = Message::decode(&mut Decoder::new(&buffer[..length])).unwrap();
            if reply.xid() == message.xid() && wanted(&reply) {
                return reply;
            }
        }
    }

    fn message(&self, kind: MessageType) -> Message {
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message = Message::new(none, none, none, none, &self.mac.bytes());
        message.set_flags(Flags::default().set_broadcast());
        message.opts_mut().insert(DhcpOption::MessageType(kind));
        message.opts_mut().insert(DhcpOption::ClassIdentifier(b"PXEClient:Arch:00011:UNDI:003000".to_vec()));
        message
    }
}
