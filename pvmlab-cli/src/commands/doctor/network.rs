//! The lab's network on this host: whether machines can be plugged into it, and the ports that lead in.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};

use lab_model::Role;

use super::finding::{Finding, State};
use crate::hardware::Hardware;
use crate::home::Home;
use crate::host::{Host, Os};
use crate::network::Network;
use crate::network::socket_vmnet::Service;
use crate::qemu::power;
use crate::store::Store;

/// The network of each machine that there is, else the one that the first will have.
pub(super) fn networks(host: &Host, home: &Home) -> Vec<Finding> {
    let mut users: BTreeMap<String, (Network, Vec<String>)> = BTreeMap::new();
    let store = Store::read(home).ok();
    for stored in store.iter().flat_map(Store::machines) {
        let name = &stored.machine.name;
        let written = Hardware::read(home, name, stored.machine.role).ok().and_then(|hardware| hardware.network);
        let network = written.unwrap_or_else(|| Network::usual(host.os));
        users.entry(network.to_string()).or_insert((network, Vec::new())).1.push(name.to_string());
    }
    if users.is_empty() {
        let usual = Network::usual(host.os);
        users.insert(usual.to_string(), (usual, Vec::new()));
    }
    users.into_values().map(|(network, users)| of(&network, host, &users.join(", "))).collect()
}

fn of(network: &Network, host: &Host, users: &str) -> Finding {
    const CHECK: &str = "network";
    let found = if users.is_empty() { network.to_string() } else { format!("{network}, of {users}") };
    match (network, host.os) {
        (Network::Switch, _) => Finding::ok(CHECK, format!("{found}: it needs no privilege")),
        (Network::Bridge(_), Os::Linux) if nix::unistd::geteuid().is_root() => Finding::ok(CHECK, found),
        (Network::Bridge(_), Os::Linux) => {
            let fix = "run `pvmlab` as root, or make those machines anew without `--network`";
            Finding::missing(CHECK, format!("{found}: only root may plug machines into a bridge"), fix)
        }
        (Network::SocketVmnet, Os::Macos) => match Service::from_environment().attach() {
            Ok(_) => Finding::ok(CHECK, found),
            Err(failure) => Finding::of(CHECK, State::Missing, &failure),
        },
        (Network::Bridge(_), Os::Macos) | (Network::SocketVmnet, Os::Linux) => {
            let fix = format!("make those machines anew with `--network {}`", Network::usual(host.os));
            Finding::missing(CHECK, format!("{found}: there is none of the kind on {}", host.os), fix)
        }
    }
}

/// The port of this host that leads to the provisioner's SSH, as it is before a start.
pub(super) fn ssh_port(home: &Home) -> Option<Finding> {
    const CHECK: &str = "SSH port";
    let store = Store::read(home).ok()?;
    let provisioner = store.machines().iter().find(|stored| stored.machine.role == Role::Provisioner)?;
    let port = Some(provisioner.definition.ssh_port).filter(|port| *port != 0)?;
    let name = &provisioner.machine.name;
    if power::running(home, name).ok().flatten().is_some() {
        return Some(Finding::ok(CHECK, format!("127.0.0.1:{port} leads to `{name}`")));
    }
    Some(match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Finding::ok(CHECK, format!("127.0.0.1:{port} is free for `{name}`")),
        Err(error) => {
            let fix =
                format!("another one is taken when `{name}` starts; to keep this one, end the program that has it");
            Finding::warning(CHECK, format!("127.0.0.1:{port} cannot be had: {error}"), fix)
        }
    })
}
