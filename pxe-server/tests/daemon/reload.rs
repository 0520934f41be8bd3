//! Another configuration while the server runs.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use lab_model::{Configuration, Health, MacAddr};
use lab_tests::process::{run, until};
use lab_tests::{BRIDGE, Host, Namespace, SERVER};

use crate::client::{DhcpClient, elsewhere, http_get};
use crate::relays::{NORTH, Network};
use crate::server::{LIMIT, ON_THE_BRIDGE, Server, definition};
use crate::udhcpc::Udhcpc;

#[test]
fn a_good_change_of_the_file_is_in_force_without_a_restart() {
    let namespace = Namespace::enter().unwrap();
    let server = serving("[dhcp]\npool = '10.77.0.100-10.77.0.100'\n");
    let first = elsewhere(&namespace, || DhcpClient::new(mac(1)).address());
    let mut connection = Connection::open();
    connection.ask();

    server.configure(&on_the_bridge(
        "[dhcp]\npool = '10.77.0.100-10.77.0.101'\nlease-seconds = 77\n[log]\nlevel = 'debug'\n",
    ));

    server.wait_for_log(
        "configuration changed key=\"dhcp.pool\" old=\"10.77.0.100-10.77.0.100\" new=\"10.77.0.100-10.77.0.101\"",
    );
    server.wait_for_log("configuration changed key=\"dhcp.lease-seconds\" old=default new=77");
    let second = elsewhere(&namespace, || DhcpClient::new(mac(2)).address());
    assert_eq!([first, second], [100, 101].map(|last| Ipv4Addr::new(10, 77, 0, last)));
    connection.ask();
    assert_eq!(configuration().problem, None);
    assert_eq!(configuration().sha256.to_string(), sha256(&server), "the file that is at work");
    elsewhere(&namespace, || DhcpClient::new(mac(3)).send(b"nonsense"));
    server.wait_for_log("DEBUG");
    assert_eq!(server.log().matches(" ready ").count(), 1, "{}", server.log());
}

#[test]
fn a_bad_change_is_told_with_file_line_and_key_and_changes_nothing() {
    let namespace = Namespace::enter().unwrap();
    let server = serving("[dhcp]\npool = '10.77.0.100-10.77.0.100'\n");
    let good = configuration();

    for (bad, problem) in [
        ("[dhcp]\npool = '10.78.0.9-10.78.0.10'\n", "config.toml:5: dhcp.pool: 10.78.0.9 is outside the lab network"),
        ("[dhcp]\nlease-second = 5\n", "unknown field `lease-second`"),
        ("[nat]\nuplink = 'lab'\n", "config.toml:5: nat.uplink: `lab` is the lab's own interface"),
        ("[[dhcp.subnet]]\nnetwork = '10.77.0.0/16'\nrouter = 'none'\n", "config.toml:5: dhcp.subnet.network: "),
        ("[dns]\nupstreams = ['10.77.0.1']\n", "config.toml:5: dns.upstreams: 10.77.0.1 is this server itself"),
        ("[dhcp\n", "TOML parse error at line 4"),
    ] {
        server.configure(&on_the_bridge(bad));
        server.reload();
        let told = until(LIMIT, || Ok(configuration().problem.filter(|told| told.contains(problem)))).unwrap();
        assert!(told.is_some(), "{problem}: {:?}\n{}", configuration(), server.log());
    }
    fs::remove_file(server.path("config.toml")).unwrap();
    let gone = || Ok(configuration().problem.filter(|told| told.contains("cannot read ")));
    until(LIMIT, gone).unwrap().expect("a file that is not there is told too");

    server.wait_for_log("the configuration stays as it was");
    assert_eq!(Configuration { problem: None, ..configuration() }, good);
    let address = elsewhere(&namespace, || DhcpClient::new(mac(1)).address());
    assert_eq!(address, Ipv4Addr::new(10, 77, 0, 100));
    server.configure(&on_the_bridge("[dhcp]\npool = '10.77.0.100-10.77.0.100'\n"));
    until(LIMIT, || Ok(configuration().problem.is_none().then_some(()))).unwrap().expect("it is good again");
}

#[test]
fn a_machine_that_renews_across_a_changed_pool_gets_an_address_of_the_new_one() {
    let _namespace = Namespace::enter().unwrap();
    let server = serving("[dhcp]\npool = '10.77.0.100-10.77.0.100'\n");
    let machine = plugged_in();
    let client = Udhcpc::start(&machine, &server, &[]);
    server.wait_for("client.log", "bound 10.77.0.100 ");

    server.configure(&on_the_bridge("[dhcp]\npool = '10.77.0.90-10.77.0.110'\nlease-seconds = 99\n"));
    server.wait_for_log("key=\"dhcp.lease-seconds\"");
    client.signal("USR1");
    server.wait_for(
        "client.log",
        "renew 10.77.0.100 255.255.255.0 router=10.77.0.1 server=10.77.0.1 domain=pvmlab.local lease=99",
    );
    server.configure(&on_the_bridge("[dhcp]\npool = '10.77.0.200-10.77.0.200'\n"));
    server.wait_for_log("new=\"10.77.0.200-10.77.0.200\"");
    client.signal("USR1");

    server.wait_for_log("stage=\"nak\" reason=\"it is not in the pool\"");
    server.wait_for("client.log", "bound 10.77.0.200 ");
}

#[test]
fn what_only_a_restart_changes_is_told_and_keeps_its_value() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = serving("");

    server.configure("state = 'other'\n[lab]\ninterface = 'other'\ndomain = 'other.lab'\n[http]\nport = 8080\n");
    server.reload();

    server.wait_for_log("only a restart brings this into force key=\"http.port\" old=default new=8080");
    let restart_for = ["http.port", "lab.interface", "state"];
    assert_eq!(
        configuration(),
        Configuration { restart_for: restart_for.map(str::to_owned).into(), ..configuration() }
    );
    assert_eq!(dig(&["-x", "10.77.0.1"]), "pxe.other.lab.\n", "the rest of it is in force");
    server.configure(&on_the_bridge("[http]\nport = 8080\n"));
    until(LIMIT, || Ok((configuration().restart_for == ["http.port"]).then_some(())))
        .unwrap()
        .expect("the others are as before");
    assert!(server.stop().success());
    server.start();
    assert!(http_get("http://10.77.0.1:8080/health").1.contains("\"sha256\""));
}

#[test]
fn names_and_whom_to_ask_for_others_follow() {
    let _namespace = Namespace::enter().unwrap();
    let server = serving("[dns]\nupstreams = []\n");
    server.define("web.toml", &definition("web", 1, "10.77.0.50"));
    server.wait_for_log("defined machine=\"web\"");
    assert_eq!(dig(&["web.pvmlab.local"]), "10.77.0.50\n");

    server.configure(&format!("{ON_THE_BRIDGE}domain = 'example.lab'\n[dns]\nupstreams = ['127.0.0.4']\n"));
    server.wait_for_log("other name servers upstreams=[127.0.0.4:53]");

    assert_eq!(dig(&["web.example.lab"]), "10.77.0.50\n");
    assert_eq!(dig(&["-x", "10.77.0.50"]), "web.example.lab.\n");
    assert_eq!(dig(&["web.pvmlab.local"]), "");
}

#[test]
fn what_tftp_may_send_at_a_time_follows() {
    let namespace = Namespace::enter().unwrap();
    let server = serving("[tftp]\nmax-block-bytes = 1024\n");
    let block = || elsewhere(&namespace, || tftp_agrees("blksize", "1400"));
    assert_eq!(block(), "1024");

    server.configure(&on_the_bridge("[tftp]\nmax-block-bytes = 600\n"));
    server.wait_for_log("configuration changed key=\"tftp.max-block-bytes\" old=1024 new=600");

    assert_eq!(block(), "600");
}

#[test]
fn a_subnet_may_come_and_its_machines_with_it() {
    let network = Network::new();
    let server = serving("");
    server.define("web.toml", &definition("web", 1, "10.78.0.9"));
    server.wait_for_log("web.toml: ip: 10.78.0.9 is outside the lab network");

    server.configure(&on_the_bridge(NORTH));

    server.wait_for_log("key=\"dhcp.subnet[10.78.0.0/24].lease-seconds\" old=default new=120");
    server.wait_for_log("definition no longer wrong file=\"web.toml\"");
    let _client = Udhcpc::start(&network.machine, &server, &[]);
    server.wait_for("client.log", "bound 10.78.0.9 ");
}

#[test]
fn the_service_manager_is_told_that_it_reloads_and_when_it_has() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(ON_THE_BRIDGE);
    let manager = server.start_supervised(Duration::from_secs(600));
    let ready = format!("READY=1\nSTATUS={SERVES}\n");
    assert_eq!(hear(&manager), ready);

    server.reload();

    let told = [hear(&manager), hear(&manager)];
    let moment = told[0].strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
    assert!(moment.parse::<u64>().unwrap() > 0, "{told:?}");
    assert_eq!(told[1], ready);
    server.wait_for_log("the configuration is the same");
}

#[test]
fn the_service_manager_is_told_what_is_wrong_with_a_file_until_it_is_right() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(ON_THE_BRIDGE);
    let manager = server.start_supervised(Duration::from_secs(600));
    assert_eq!(hear(&manager), format!("READY=1\nSTATUS={SERVES}\n"));

    server.configure(&on_the_bridge("[dhcp]\nlease-second = 60\n"));

    let told = hear(&manager);
    assert!(told.starts_with(&format!("STATUS={SERVES}; the configuration stays as it was: ")), "{told}");
    assert!(told.contains("config.toml: TOML parse error at line "), "{told}");
    assert!(told.contains(": unknown field `lease-second`, expected one of ") && told.lines().count() == 1, "{told}");
    server.reload();
    assert!(hear(&manager).starts_with("RELOADING=1\n"));
    assert_eq!(hear(&manager), format!("READY=1\n{told}"));
    server.configure(ON_THE_BRIDGE);
    assert_eq!(hear(&manager), format!("STATUS={SERVES}\n"));
}

const SERVES: &str = "serves 10.77.0.1/24 at http://10.77.0.1";

/// What the service manager hears next, but that the server is alive.
fn hear(manager: &UnixDatagram) -> String {
    let mut message = [0; 4096];
    loop {
        let length = until(LIMIT, || Ok(manager.recv(&mut message).ok())).unwrap().unwrap();
        let message = String::from_utf8_lossy(&message[..length]);
        if message != "WATCHDOG=1\n" {
            return message.into_owned();
        }
    }
}

/// A connection that stays.
struct Connection(TcpStream);

impl Connection {
    fn open() -> Self {
        let stream = TcpStream::connect((SERVER, 80)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self(stream)
    }

    fn ask(&mut self) {
        self.0.write_all(b"GET /healthz HTTP/1.1\r\nHost: pxe\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"ok\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
    }
}

fn serving(more: &str) -> Server {
    let mut server = Server::configured(&on_the_bridge(more));
    server.start_as_a_service();
    server
}

fn on_the_bridge(more: &str) -> String {
    format!("{ON_THE_BRIDGE}{more}")
}

fn plugged_in() -> Host {
    let machine = Host::new().unwrap();
    machine.plug_into("port").unwrap();
    run("ip", &["link", "set", "port", "master", BRIDGE]).unwrap();
    machine
}

fn configuration() -> Configuration {
    let health: Health = serde_json::from_str(&http_get(&format!("http://{SERVER}/health")).1).unwrap();
    health.configuration.unwrap()
}

fn sha256(server: &Server) -> String {
    let said = run("sha256sum", &[server.path("config.toml")]).unwrap();
    said.split(' ').next().unwrap().to_owned()
}

/// What the server makes of an option in a read request (RFC 2347).
fn tftp_agrees(option: &str, value: &str) -> String {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.send_to(format!("\0\x01autoexec.ipxe\0octet\0{option}\0{value}\0").as_bytes(), (SERVER, 69)).unwrap();
    let mut answer = [0; 516];
    let (length, sender) = socket.recv_from(&mut answer).unwrap();
    socket.send_to(b"\0\x05\0\0enough\0", sender).unwrap();
    let text = String::from_utf8_lossy(&answer[2..length]).into_owned();
    assert_eq!(answer[..2], [0, 6], "{text}");
    text.trim_end_matches('\0').rsplit('\0').next().unwrap().to_owned()
}

fn dig(question: &[&str]) -> String {
    let mut command = Command::new("dig");
    command.arg(format!("@{SERVER}")).args(["+short", "+tries=1", "+time=20"]).args(question);
    let output = command.output().expect("dig: install the package bind9-dnsutils");
    String::from_utf8(output.stdout).unwrap()
}

fn mac(last: u8) -> MacAddr {
    MacAddr::new([0x52, 0x54, 0, 0, 0, last])
}
