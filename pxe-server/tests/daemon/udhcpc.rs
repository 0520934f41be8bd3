//! BusyBox's DHCP client, and hosts on the bridge that it may run on.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use lab_tests::Host;
use lab_tests::process::{Process, bound, run};

use crate::server::Server;

/// The client, which runs until this is dropped.
pub(crate) struct Udhcpc(Process);

impl Udhcpc {
    /// Starts it on the host's `eth0`. It writes what becomes of it to `client.log` beside the server's files.
    pub(crate) fn start(host: &Host, server: &Server, arguments: &[&'static str]) -> Self {
        let (log, script) = (server.path("client.log"), server.path("client.sh"));
        // An address that the host has it can also renew from.
        let text = format!(
            "#!/bin/sh\n\
             case $1 in deconfig) ip address flush dev $interface;; esac\n\
             [ -z \"$ip\" ] || ip address replace $ip/$mask broadcast + dev $interface\n\
             [ -z \"$router\" ] || ip route replace default via $router\n\
             echo $1 $ip $subnet router=$router server=$serverid domain=$domain lease=$lease >> {}\n",
            log.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let arguments = arguments.to_vec();
        let process = host.run(move || {
            let mut client = bound("udhcpc");
            client.args(["-f", "-i", "eth0", "-t", "60", "-T", "1", "-s"]).arg(script).args(arguments);
            client.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            Process::start("udhcpc", &mut client).expect("install the package udhcpc")
        });
        Self(process.unwrap())
    }

    /// Tells it to renew (`USR1`) or to give back (`USR2`) what it has.
    pub(crate) fn signal(&self, signal: &str) {
        run("kill", &[&format!("-{signal}"), &self.0.id().to_string()]).unwrap();
    }
}

/// A host with this hardware address on the server's bridge, perhaps with an address.
pub(crate) fn host(port: &str, mac: &str, address: Option<&str>) -> Host {
    let host = Host::new().unwrap();
    host.plug_into(port).unwrap();
    run("ip", &["link", "set", port, "master", "lab"]).unwrap();
    host.ip(&["link", "set", "eth0", "address", mac]).unwrap();
    if let Some(address) = address {
        host.ip(&["address", "add", address, "dev", "eth0"]).unwrap();
    }
    host
}
