//! What a provisioner is told: the documents for cloud-init, and the configuration of its server.

use std::net::Ipv4Addr;

use lab_model::{Ipv4Net, Ipv6Net, MacAddr, MachineName};
use minijinja::{Value, context};

use crate::seed::render;
use crate::{Seed, UserName};

/// The machine that serves a lab of virtual machines. It has two interfaces, told apart by their hardware addresses:
/// `enp0s1` is its way out, `enp0s2` is on the lab's network.
#[derive(Clone, Copy, Debug)]
pub struct Provisioner<'a> {
    /// Its host name.
    pub name: &'a MachineName,
    /// The hardware address of its way out.
    pub uplink_mac: MacAddr,
    /// Its hardware address on the lab's network.
    pub mac: MacAddr,
    /// Its address there, with the length of the network's prefix.
    pub address: Ipv4Net,
    /// The same for IPv6.
    pub ipv6: Option<Ipv6Net>,
    /// The name servers that its own asks about names that are not the lab's: those that answer on the way out.
    pub name_servers: &'a [Ipv4Addr],
    /// Who may log in, here and to the machines that it installs.
    pub user: &'a UserName,
    /// With which keys, one `authorized_keys` line each.
    pub ssh_keys: &'a [String],
}

impl Provisioner<'_> {
    /// Writes the documents; `instance` must become another when they do, or cloud-init does not look at them again.
    pub fn seed(&self, instance: &str) -> Seed {
        let values = self.values(instance);
        Seed {
            meta_data: render(include_str!("../../../cloud-init/provisioner/meta-data.j2"), &values),
            user_data: render(include_str!("../../../cloud-init/provisioner/user-data.j2"), &values),
            network_config: render(include_str!("../../../cloud-init/provisioner/network-config.j2"), &values),
            vendor_data: render(include_str!("../../../cloud-init/provisioner/vendor-data.j2"), &values),
        }
    }

    /// Writes the configuration of `pxe-server`.
    pub fn server_config(&self) -> String {
        render(include_str!("../../../cloud-init/provisioner/config.toml.j2"), &self.values(""))
    }

    fn values(&self, instance: &str) -> Value {
        context! {
            name => self.name.as_str(),
            instance,
            uplink_mac => self.uplink_mac.to_string(),
            mac => self.mac.to_string(),
            address => self.address.to_string(),
            ipv6 => self.ipv6.map(|ipv6| ipv6.to_string()),
            name_servers => self.name_servers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            user => self.user.as_str(),
            ssh_keys => self.ssh_keys.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::de::IgnoredAny;

    use super::*;

    #[test]
    fn a_provisioner_of_both_families() {
        let keys = ["ssh-ed25519 AAAAC3 lab".to_owned()];
        let (name, user) = ("provisioner".parse().expect("a name"), UserName::default());
        let provisioner = Provisioner {
            ipv6: "fd00:cafe::1/64".parse().ok(),
            name_servers: &[Ipv4Addr::new(10, 0, 2, 3)],
            ssh_keys: &keys,
            ..plain(&name, &user)
        };

        let seed = provisioner.seed("provisioner-1");

        let config = [("config.toml", &provisioner.server_config()[..])];
        let files = seed.files().into_iter().chain(config).map(|(name, text)| format!("--- {name}\n{text}"));
        insta::assert_snapshot!(files.collect::<String>());
    }

    #[test]
    fn every_document_is_yaml() {
        let (name, user) = ("provisioner".parse().expect("a name"), UserName::default());

        for (name, text) in plain(&name, &user).seed("a").files() {
            let read: Result<BTreeMap<String, IgnoredAny>, _> = serde_saphyr::from_str(text);
            assert!(read.is_ok(), "{name}: {:?}\n{text}", read.err());
        }
    }

    fn plain<'a>(name: &'a MachineName, user: &'a UserName) -> Provisioner<'a> {
        Provisioner {
            name,
            uplink_mac: MacAddr::new([0x52, 0x54, 1, 0, 0, 1]),
            mac: MacAddr::new([0x52, 0x54, 0, 0, 0, 1]),
            address: "10.77.0.1/24".parse().expect("a network"),
            ipv6: None,
            name_servers: &[],
            user,
            ssh_keys: &[],
        }
    }
}
