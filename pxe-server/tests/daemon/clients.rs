//! The DHCP and TFTP clients that installed systems and people have, each on a host of its own.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use lab_tests::process::{Process, bound, run, until};
use lab_tests::{Host, Namespace, SERVER, Unpacked};

use crate::client::tftp_read;
use crate::server::{LIMIT, ON_THE_BRIDGE, Server, definition};

#[test]
fn dhclient_gets_a_machines_address_and_name() {
    let lab = Lab::new();
    let script =
        lab.script("echo $reason $new_ip_address $new_subnet_mask $new_routers $new_domain_name $new_host_name");
    let path = |file: &str| lab.server.path(file);
    fs::write(path("dhclient.conf"), "request subnet-mask, routers, domain-name, host-name;\n").unwrap();
    let mut client = bound("/usr/sbin/dhclient");
    client.args(["-4", "-d", "-1", "-sf"]).arg(script).arg("-cf").arg(path("dhclient.conf"));
    client.arg("-lf").arg(path("dhclient.leases")).arg("-pf").arg(path("dhclient.pid")).arg("eth0");

    let _client = lab.start("dhclient", "isc-dhcp-client", client);

    lab.server.wait_for("told", "BOUND 10.77.0.50 255.255.255.0 10.77.0.1 pvmlab.local web");
}

#[test]
fn dhcpcd_gets_a_machines_address_renews_it_and_gives_it_back() {
    let lab = Lab::new();
    let script = lab.script("echo $reason $new_ip_address $new_subnet_mask $new_routers");
    // What it remembers and where it listens is the machine's own business.
    let command =
        "mkdir -p /var/lib/dhcpcd; mount -t tmpfs tmpfs /var/lib/dhcpcd; exec dhcpcd -4 -B -f /dev/null --noarp -c";
    let client = elsewhere(&format!("{command} {} eth0", script.display()));

    let client = lab.start("dhcpcd", "dhcpcd-base", client);

    lab.server.wait_for("told", "BOUND 10.77.0.50 255.255.255.0 10.77.0.1");
    lab.wait_for_address();
    run("kill", &["-USR1", &client.id().to_string()]).unwrap();
    lab.server.wait_for("told", "RENEW 10.77.0.50");
    run("kill", &["-ALRM", &client.id().to_string()]).unwrap();
    lab.server.wait_for_log("lease ended");
}

#[test]
fn systemd_networkd_gets_a_machines_address() {
    let lab = Lab::new();
    let network = "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n";
    fs::write(lab.server.path("eth0.network"), network).unwrap();
    // Where it cannot write to sysfs it waits for no udev, and it does without a bus.
    let command = format!(
        "mount -t sysfs -o ro sysfs /sys; mkdir -p /run/systemd/network; cp {} /run/systemd/network/; \
         exec /usr/lib/systemd/systemd-networkd",
        lab.server.path("eth0.network").display()
    );

    let _client = lab.start("systemd-networkd", "systemd", elsewhere(&command));

    lab.wait_for_address();
}

#[test]
fn network_manager_gets_a_machines_address() {
    let lab = Lab::new();
    let programs = Unpacked::from_environment(Unpacked::NETWORK_MANAGER_VARIABLE).unwrap();
    let files = [("bus.conf", BUS), ("NetworkManager.conf", NETWORK_MANAGER), ("eth0.nmconnection", CONNECTION)];
    let [bus, configuration, connection] = files.map(|(name, text)| {
        let file = lab.server.path(name);
        fs::write(&file, text).unwrap();
        // Or it takes no connection from there.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file.display().to_string()
    });
    let program = |path: &str| programs.folder().join(path).display().to_string();
    let (daemon, manager) = (program("usr/bin/dbus-daemon"), program("usr/sbin/NetworkManager"));
    let commands = format!(
        "mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /var/lib; mount -t sysfs -o ro sysfs /sys
         mkdir -p /run/dbus /run/none /run/NetworkManager/system-connections /var/lib/NetworkManager
         cp {connection} /run/NetworkManager/system-connections/
         {daemon} --config-file={bus} --fork
         exec {manager} --debug --config {configuration} --config-dir /run/none --system-config-dir /run/none"
    );
    let mut client = bound("unshare");
    // With its own process numbers, so that its bus ends when it does.
    client.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", &commands]);
    client.env("LD_LIBRARY_PATH", programs.libraries());

    let _client = lab.start("NetworkManager", "util-linux", client);

    lab.wait_for_address();
}

#[test]
fn every_tftp_client_reads_the_same_file() {
    let lab = Lab::new();
    lab.machine.ip(&["address", "add", "10.77.0.50/24", "dev", "eth0"]).unwrap();
    let expected = lab.machine.run(|| tftp_read("autoexec.ipxe")).unwrap().unwrap();
    let file = lab.server.path("read");
    let to = file.display();

    for (package, command) in [
        ("atftp", format!("atftp --get --remote-file autoexec.ipxe --local-file {to} {SERVER}")),
        (
            "atftp",
            format!(
                "atftp --option 'blksize 1400' --option 'windowsize 8' --get --remote-file autoexec.ipxe --local-file {to} {SERVER}"
            ),
        ),
        ("tftp-hpa", format!("tftp -m binary {SERVER} -c get autoexec.ipxe {to}")),
        ("busybox", format!("busybox tftp -g -b 1024 -r autoexec.ipxe -l {to} {SERVER}")),
        ("curl", format!("curl --silent --show-error --output {to} tftp://{SERVER}/autoexec.ipxe")),
    ] {
        let said = lab.machine.run({
            let command = command.clone();
            move || Command::new("sh").args(["-c", &command]).stdin(Stdio::null()).output().unwrap()
        });

        let read =
            fs::read(&file).unwrap_or_else(|error| panic!("{command}: {error}; is {package} installed? {said:?}"));
        assert_eq!(String::from_utf8_lossy(&read), String::from_utf8_lossy(&expected), "{command}");
        fs::remove_file(&file).unwrap();
    }
}

/// A server, and the machine `web` on its link.
struct Lab {
    machine: Host,
    server: Server,
    _namespace: Namespace,
}

impl Lab {
    fn new() -> Self {
        let namespace = Namespace::enter().unwrap();
        let mut server = Server::configured(ON_THE_BRIDGE);
        server.define("web.toml", &definition("web", 1, &RESERVED.to_string()));
        server.start();
        let machine = Host::new().unwrap();
        machine.plug_into("machine").unwrap();
        run("ip", &["link", "set", "machine", "master", "lab"]).unwrap();
        machine.ip(&["link", "set", "eth0", "address", "52:54:00:00:00:01"]).unwrap();
        Self { machine, server, _namespace: namespace }
    }

    /// A program for a client to run, which writes a line of what it is told to the file `told`.
    fn script(&self, command: &str) -> PathBuf {
        let script = self.server.path("script");
        fs::write(&script, format!("#!/bin/sh\n{command} >>{}\n", self.server.path("told").display())).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        script
    }

    /// Starts a client on the machine.
    fn start(&self, name: &'static str, package: &'static str, mut client: Command) -> Process {
        let log = fs::File::create(self.server.path("client.log")).unwrap();
        client.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = self.machine.run(move || Process::start(name, &mut client)).unwrap();
        process.unwrap_or_else(|error| panic!("install the package {package}: {error}"))
    }

    /// Waits until the machine's interface has its address.
    fn wait_for_address(&self) {
        let has = || {
            let addresses = self.machine.run(|| run("ip", &["-4", "address", "show", "dev", "eth0"]))??;
            Ok(addresses.contains(&format!("inet {RESERVED}/24 ")).then_some(()))
        };
        let log = || fs::read_to_string(self.server.path("client.log")).unwrap_or_default();
        until(LIMIT, has).unwrap().unwrap_or_else(|| panic!("no address:\n{}\n{}", log(), self.server.log()));
    }
}

/// The shell commands that run where `/run` is empty, so that what a client leaves there is not the machine's.
fn elsewhere(commands: &str) -> Command {
    let mut command = bound("unshare");
    command.args(["--mount", "sh", "-ec"]).arg(format!("mount -t tmpfs tmpfs /run\n{commands}"));
    command
}

const RESERVED: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 50);

/// A bus that forbids nothing, for whom nobody else can reach.
const BUS: &str = r#"<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
"#;

const NETWORK_MANAGER: &str = "[main]\nplugins=keyfile\ndhcp=internal\ndns=none\nauth-polkit=false\n";

const CONNECTION: &str = "[connection]\nid=eth0\ntype=ethernet\ninterface-name=eth0\n\
     [ipv4]\nmethod=auto\n[ipv6]\nmethod=disabled\n";
