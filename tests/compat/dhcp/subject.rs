//! The servers, all told the same.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use lab_tests::BRIDGE;
use lab_tests::process::{Process, bound};
use tempfile::TempDir;

use crate::pxe_server;

/// A server that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Ours.
    PxeServer,
    Dnsmasq,
    Kea,
    Dhcpd,
}

/// A running server, ended when this is dropped.
pub(crate) struct Running {
    process: Process,
    _folder: TempDir,
}

impl Subject {
    /// Starts it in this thread's namespace: the pools 10.77.0.100 to .149 and, behind a relay agent, 10.78.0.100 to .109, the
    /// machine `web` with 10.77.0.50, and a boot program for firmware of x86-64. None asks the link about an address first.
    pub(crate) fn start(self) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let mut command = match self {
            Self::PxeServer => pxe_server(folder.path(), CONFIGURATION),
            Self::Dnsmasq => dnsmasq(folder.path()),
            Self::Kea => kea(folder.path()),
            Self::Dhcpd => dhcpd(folder.path()),
        };
        command.stdin(Stdio::null());
        let process = Process::start(&format!("{self:?}"), &mut command).unwrap();
        Running { process, _folder: folder }
    }
}

impl Running {
    /// Panics where it has ended, which no server ever should.
    pub(crate) fn check_alive(&mut self) {
        let ended = self.process.ended().unwrap();
        assert!(ended.is_none(), "{} ended: {}", self.process, ended.unwrap());
    }
}

fn dnsmasq(folder: &Path) -> Command {
    assert!(Path::new("/usr/sbin/dnsmasq").exists(), "install the package dnsmasq-base");
    let mut command = bound("dnsmasq");
    command.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--user=root",
        "--group=",
        "--port=0",
        "--pid-file",
    ]);
    command.args(["--log-facility=/dev/null", "--interface", BRIDGE, "--bind-interfaces", "--dhcp-authoritative"]);
    command.args(["--no-ping", "--domain=pvmlab.local", "--dhcp-option=option:router,10.77.0.1"]);
    command.args(["--dhcp-option=option:dns-server,10.77.0.1"]);
    command.args(["--dhcp-range=10.77.0.100,10.77.0.149,255.255.255.0,3600"]);
    command.args(["--dhcp-range=10.78.0.100,10.78.0.109,255.255.255.0,3600"]);
    command.args(["--dhcp-host=52:54:00:00:00:01,10.77.0.50,web", "--dhcp-match=set:efi,option:client-arch,7"]);
    command.arg("--dhcp-boot=tag:efi,ipxe-x86_64.efi,,10.77.0.1");
    command.arg(format!("--dhcp-leasefile={}", folder.join("leases").display()));
    command
}

fn kea(folder: &Path) -> Command {
    fs::write(folder.join("kea.json"), KEA).unwrap();
    let mut command = bound(copied("/usr/sbin/kea-dhcp4", "kea-dhcp4-server", folder));
    command.arg("-c").arg(folder.join("kea.json"));
    command.env("KEA_PIDFILE_DIR", folder).env("KEA_LOCKFILE_DIR", folder);
    command
}

fn dhcpd(folder: &Path) -> Command {
    fs::write(folder.join("dhcpd.conf"), DHCPD).unwrap();
    fs::write(folder.join("leases"), "").unwrap();
    let mut command = bound(copied("/usr/sbin/dhcpd", "isc-dhcp-server", folder));
    command.args(["-4", "-f", "-q", "--no-pid", "-cf"]).arg(folder.join("dhcpd.conf"));
    command.arg("-lf").arg(folder.join("leases")).arg(BRIDGE);
    command
}

/// A copy of the program: where AppArmor guards it, that is by its path, and it may not read what is in this folder.
fn copied(program: &str, package: &str, folder: &Path) -> std::path::PathBuf {
    let copy = folder.join("program");
    fs::copy(program, &copy).unwrap_or_else(|error| panic!("install the package {package}: {program}: {error}"));
    copy
}

const CONFIGURATION: &str = "\
state = '.'
[lab]
interface = 'lab'
domain = 'pvmlab.local'
[dns]
enabled = false
[dhcp]
pool = '10.77.0.100-10.77.0.149'
router = '10.77.0.1'
dns = ['10.77.0.1']
lease-seconds = 3600
probe-milliseconds = 0
[[dhcp.subnet]]
network = '10.78.0.0/24'
router = '10.78.0.1'
pool = '10.78.0.100-10.78.0.109'
lease-seconds = 3600
";

const KEA: &str = r#"{ "Dhcp4": {
  "interfaces-config": { "interfaces": ["lab"], "dhcp-socket-type": "raw" },
  "lease-database": { "type": "memfile", "persist": false },
  "authoritative": true, "valid-lifetime": 3600,
  "option-data": [
    { "name": "routers", "data": "10.77.0.1" },
    { "name": "domain-name-servers", "data": "10.77.0.1" },
    { "name": "domain-name", "data": "pvmlab.local" } ],
  "client-classes": [ { "name": "efi", "test": "option[93].hex == 0x0007",
    "next-server": "10.77.0.1", "boot-file-name": "ipxe-x86_64.efi" } ],
  "subnet4": [
    { "subnet": "10.77.0.0/24", "pools": [ { "pool": "10.77.0.100 - 10.77.0.149" } ],
      "reservations": [ { "hw-address": "52:54:00:00:00:01", "ip-address": "10.77.0.50", "hostname": "web" } ] },
    { "subnet": "10.78.0.0/24", "pools": [ { "pool": "10.78.0.100 - 10.78.0.109" } ] } ],
  "loggers": [ { "name": "kea-dhcp4", "severity": "FATAL", "output_options": [ { "output": "stdout" } ] } ]
} }"#;

const DHCPD: &str = "\
authoritative; ping-check false; default-lease-time 3600; max-lease-time 3600; ddns-update-style none;
option domain-name \"pvmlab.local\"; option domain-name-servers 10.77.0.1; option routers 10.77.0.1;
option arch code 93 = unsigned integer 16;
if option arch = 00:07 { next-server 10.77.0.1; filename \"ipxe-x86_64.efi\"; }
subnet 10.77.0.0 netmask 255.255.255.0 { range 10.77.0.100 10.77.0.149; }
subnet 10.78.0.0 netmask 255.255.255.0 { range 10.78.0.100 10.78.0.109; }
host web { hardware ethernet 52:54:00:00:00:01; fixed-address 10.77.0.50; option host-name \"web\"; }
";
