//! What a provisioner is told at its first boot, as an image that is attached to it: who may log in, its network, and the
//! server itself, so that nothing has to be fetched.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Context as _;
use cloud_seed::{Iso, Seed, UserName};
use lab_model::Sha256;
use sha2::Digest as _;

use super::Provisioner;
use super::release::Release;
use crate::error::Result;
use crate::home::Home;
use crate::{file, hardware, ssh};

/// Writes the seed of a provisioner and returns where its image is; done anew before each start, it changes nothing that
/// need not change. `name_servers` are those that answer on the way out.
///
/// # Errors
/// The lab has no key yet, or the disk is full.
pub(crate) fn write(
    home: &Home,
    provisioner: &Provisioner,
    name_servers: &[Ipv4Addr],
    release: &Release,
) -> Result<PathBuf> {
    let documents = Documents::new(provisioner, name_servers, ssh::public_key(home)?);
    let folder = home.seed(provisioner.name());
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // Another instance makes itself other host keys.
    let before = fs::read_to_string(folder.join("meta-data"));
    if before.is_ok_and(|before| before != documents.seed.meta_data) {
        ssh::forget(home, provisioner.name())?;
    }
    for (name, text) in documents.files() {
        file::replace(&folder.join(name), text.as_bytes())?;
    }

    let files: Vec<_> = documents.files().map(|(name, text)| (name, text.as_bytes())).chain(release.files()).collect();
    let iso = Iso::new(&files).map_err(anyhow::Error::from)?;
    let image = home.seed_image(provisioner.name());
    file::replace_by_pieces(&image, iso.pieces())?;
    Ok(image)
}

/// What is text in a seed.
struct Documents {
    seed: Seed,
    config: String,
}

impl Documents {
    fn new(provisioner: &Provisioner, name_servers: &[Ipv4Addr], lab_key: String) -> Self {
        let (machine, network) = (&provisioner.stored.machine, provisioner.network);
        let mut ssh_keys = machine.ssh_keys.clone();
        if !ssh_keys.contains(&lab_key) {
            ssh_keys.push(lab_key);
        }
        let told = cloud_seed::Provisioner {
            name: &machine.name,
            uplink_mac: hardware::uplink_mac(machine.mac),
            mac: machine.mac,
            address: network.ipv4,
            ipv6: network.ipv6,
            name_servers,
            user: &UserName::default(),
            ssh_keys: &ssh_keys,
        };
        // cloud-init looks at users and networks once for each instance: what they are is part of its name.
        let draft = told.seed("");
        let mut hash = sha2::Sha256::new();
        hash.update(&draft.network_config);
        hash.update(&draft.user_data);
        let digest = Sha256(hash.finalize().into()).to_string();
        let seed = told.seed(&format!("{}-{}", machine.name, &digest[..16]));
        Self { seed, config: told.server_config() }
    }

    fn files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.seed.files().into_iter().chain([("config.toml", &self.config[..])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_seed_is_the_same_until_something_changes() {
        let (_folder, home) = home();
        let written = |ip: &str| fs::read(write_for(&home, ip)).expect("an image");

        let first = written("10.77.0.1/24");

        assert!(first == written("10.77.0.1/24"));
        assert!(first != written("10.77.0.2/24"));
    }

    #[test]
    fn another_network_is_another_instance_with_another_host_key() {
        let (_folder, home) = home();
        let known_hosts = home.ssh().join("known_hosts.provisioner");
        let instance = |ip: &str| {
            write_for(&home, ip);
            fs::read_to_string(home.root().join("configs/cloud-init/provisioner/meta-data")).expect("written")
        };
        let first = instance("10.77.0.1/24");
        fs::write(&known_hosts, "").expect("written");

        let (same, kept) = (instance("10.77.0.1/24"), known_hosts.exists());
        let (other, forgotten) = (instance("10.77.0.2/24"), !known_hosts.exists());

        assert!(first == same && kept, "{first}{same}");
        assert!(first != other && forgotten, "{other}");
    }

    #[test]
    fn the_first_pvmlabs_definition_is_enough() {
        let (_folder, home) = home();
        let text = r#"{"name": "provisioner", "role": "provisioner", "arch": "aarch64", "mac": "52:54:00:00:00:01",
            "ip": "192.168.100.1", "subnet": "192.168.100.0/24", "ipv6": "fd00:cafe::1", "subnetv6": "fd00:cafe::/64"}"#;
        fs::write(home.vms().join("provisioner.json"), text).expect("written");

        let documents = Documents::new(&Provisioner::find(&home).expect("one"), &[], "ssh-ed25519 AAAA lab".to_owned());

        let network = &documents.seed.network_config;
        assert!(network.contains("\"192.168.100.1/24\"") && network.contains("\"fd00:cafe::1/64\""), "{network}");
    }

    fn write_for(home: &Home, ip: &str) -> PathBuf {
        let text = format!(
            r#"{{"name": "provisioner", "role": "provisioner", "arch": "aarch64", "mac": "52:54:00:00:00:01", "ip": "{ip}"}}"#
        );
        fs::write(home.vms().join("provisioner.json"), text).expect("written");
        let provisioner = Provisioner::of(&Store::read(home).expect("a lab")).expect("a provisioner");
        write(home, &provisioner, &[], &Release::of("program")).expect("written")
    }

    fn home() -> (tempfile::TempDir, Home) {
        let (folder, home) = Home::in_a_temporary_folder();
        fs::write(home.ssh().join("id_ed25519.pub"), "ssh-ed25519 AAAAC3 lab\n").expect("written");
        (folder, home)
    }
}
