//! A machine: a definition that was found valid on this network.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::definition::{AfterInstall, Definition, Role};
use crate::{
    Arch, CloudInit, DiskName, ImageName, MacAddr, MachineName, Networks, NotDiskName, Once, ProfileName, Uuid,
};

/// A machine of the lab. Whoever holds one need not check it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The host name and the machine's identity in the lab.
    pub name: MachineName,
    /// Whether it serves or is served.
    pub role: Role,
    /// What its processor executes.
    pub arch: Arch,
    /// Its hardware address on the lab network.
    pub mac: MacAddr,
    /// The UUID that its maker gave it, where the definition says it.
    pub uuid: Option<Uuid>,
    /// The address reserved for it, on one of the lab's networks; `None`: from a pool.
    pub address: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// Whether the network has something for it to boot; otherwise it boots from its disk alone.
    pub network_boot: bool,
    /// The image that is installed when it boots from the network, unless its profile says otherwise.
    pub image: Option<ImageName>,
    /// The profile that its definition names.
    pub profile: Option<ProfileName>,
    /// What it boots one time instead.
    pub once: Option<Once>,
    /// Values of its own for the templates of its profile.
    pub vars: BTreeMap<String, String>,
    /// The public keys that may log in, one `authorized_keys` line each.
    pub ssh_keys: Vec<String>,
    /// The disk that is written; `None`: its only disk.
    pub disk: Option<DiskName>,
    /// Whether that disk is written even where somebody else's system or data is on it.
    pub wipe: bool,
    /// How the installed system is started.
    pub after_install: AfterInstall,
    /// Whether its installer starts with a shell on the console.
    pub installer_shell: bool,
    /// What its owner tells cloud-init.
    pub cloud_init: CloudInit,
}

/// What keeps a definition from being a machine; the message names the key, its value and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No single interface can have this hardware address.
    #[error("mac: {0} is not the address of one interface: expected neither zeros nor a multicast address")]
    Mac(MacAddr),
    /// No machine can be told from others by this UUID.
    #[error("uuid: {0} is what boards have that nobody gave one: leave it out")]
    Uuid(Uuid),
    /// Not an IPv4 address.
    #[error("ip: `{0}` is not an IPv4 address: expected a form such as `10.77.0.10` or `10.77.0.10/24`")]
    Ip(String),
    /// Not an address of the server's network, nor of one that is relayed.
    #[error("ip: {address} is outside the lab network: expected one of {networks}")]
    OutsideNetwork {
        /// The address as written.
        address: Ipv4Addr,
        /// Where it could be.
        networks: Networks,
    },
    /// The server has this address.
    #[error("ip: {0} is the server's own address: choose another")]
    ServersAddress(Ipv4Addr),
    /// Not an IPv6 address.
    #[error("ipv6: `{0}` is not an IPv6 address: expected a form such as `fd00::10` or `fd00::10/64`")]
    Ipv6(String),
    /// Nothing says what to install.
    #[error("distro: missing: a machine with `pxeboot` needs the name of the image to install, or a `profile`")]
    NoImage,
    /// A line of `ssh_key` that sshd would not read.
    #[error("ssh_key: line {0} is not a public key: expected a form such as `ssh-ed25519 AAAA… comment`")]
    SshKey(usize),
    /// Not the name of a whole disk.
    #[error("disk: {0}")]
    Disk(NotDiskName),
}

impl Machine {
    /// Checks a definition against the lab's networks; the server's address alone is the one network that there is.
    ///
    /// # Errors
    /// The first thing found that keeps the definition from being a machine.
    pub fn new(definition: &Definition, networks: impl Into<Networks>) -> Result<Self, Invalid> {
        if !definition.mac.is_unicast() {
            return Err(Invalid::Mac(definition.mac));
        }
        if let Some(uuid) = definition.uuid.filter(|uuid| !uuid.is_set()) {
            return Err(Invalid::Uuid(uuid));
        }
        let address = parse_address(&definition.ip, 32).ok_or_else(|| Invalid::Ip(definition.ip.clone()))?;
        if let Some(address) = address.filter(|_| definition.role == Role::Target) {
            let networks = networks.into();
            if networks.of(address).is_none() {
                return Err(Invalid::OutsideNetwork { address, networks });
            }
            if address == networks.server().address() {
                return Err(Invalid::ServersAddress(address));
            }
        }
        let ipv6 = parse_address(&definition.ipv6, 128).ok_or_else(|| Invalid::Ipv6(definition.ipv6.clone()))?;
        let image = definition.distro.clone().filter(|_| definition.pxeboot || definition.once.is_some());
        let profile = definition.profile.clone().filter(|_| definition.pxeboot);
        if definition.pxeboot && image.is_none() && profile.is_none() {
            return Err(Invalid::NoImage);
        }
        let disk = match definition.disk.as_str() {
            "" => None,
            name => Some(name.parse().map_err(Invalid::Disk)?),
        };
        Ok(Self {
            name: definition.name.clone(),
            role: definition.role,
            arch: definition.arch,
            mac: definition.mac,
            uuid: definition.uuid,
            address,
            ipv6,
            network_boot: definition.pxeboot,
            image,
            profile,
            once: definition.once.clone(),
            vars: definition.vars.clone(),
            ssh_keys: ssh_keys(&definition.ssh_key).map_err(Invalid::SshKey)?,
            disk,
            wipe: definition.wipe,
            after_install: definition.after_install,
            installer_shell: definition.installer_shell,
            cloud_init: definition.cloud_init(),
        })
    }
}

/// Reads an address, with or without the length of its network's prefix; empty text is no address, and no mistake.
fn parse_address<A: FromStr>(text: &str, longest_prefix: u8) -> Option<Option<A>> {
    if text.is_empty() {
        return Some(None);
    }
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let plain = prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|prefix| prefix <= longest_prefix));
    address.parse().ok().filter(|_| plain).map(Some)
}

/// The public keys of an `authorized_keys` file, a line each, without comments.
///
/// # Errors
/// The number of the first line that is none.
pub fn ssh_keys(text: &str) -> Result<Vec<String>, usize> {
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(at, line)| {
            let mut words = line.split_whitespace();
            let key_type = words.next().is_some_and(|word| {
                ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"].iter().any(|prefix| word.starts_with(prefix))
            });
            let key = words.next().is_some_and(|word| word.starts_with("AAAA"));
            let clean = !line.chars().any(char::is_control);
            if key_type && key && clean { Ok(line.to_owned()) } else { Err(at + 1) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;

    #[test]
    fn a_definition_that_holds_is_a_machine() {
        let machine =
            machine("ip = '10.77.0.10/24'\npxeboot = true\ndistro = 'debian-12'\nssh_key = 'ssh-ed25519 AAAAC3 a'\n");

        let machine = machine.expect("a valid definition");
        assert_eq!(machine.address, Some(Ipv4Addr::new(10, 77, 0, 10)));
        assert_eq!(machine.image, "debian-12".parse().ok());
        assert_eq!(machine.ssh_keys, ["ssh-ed25519 AAAAC3 a"]);
    }

    #[test]
    fn refuses_an_address_outside_the_subnet() {
        let error = machine("ip = '10.78.0.10'").expect_err("outside");

        assert_eq!(
            error.to_string(),
            "ip: 10.78.0.10 is outside the lab network: expected one of 10.77.0.1 to 10.77.0.254"
        );
    }

    #[test]
    fn refuses_what_cannot_be() {
        assert_eq!(machine("ip = '10.77.0.1'"), Err(Invalid::ServersAddress(Ipv4Addr::new(10, 77, 0, 1))));
        assert!(matches!(machine("ip = '10.77.0.255'"), Err(Invalid::OutsideNetwork { .. })));
        assert_eq!(machine("ip = 'ten'"), Err(Invalid::Ip("ten".to_owned())));
        for text in ["/24", "10.77.0.10/", "10.77.0.10/33", "10.77.0.10/rubbish"] {
            assert_eq!(machine(&format!("ip = '{text}'")), Err(Invalid::Ip(text.to_owned())));
        }
        assert_eq!(machine("ipv6 = 'fd00::10/129'"), Err(Invalid::Ipv6("fd00::10/129".to_owned())));
        assert_eq!(machine("pxeboot = true"), Err(Invalid::NoImage));
        assert_eq!(machine("ssh_key = \"ssh-ed25519 AAAA a\\npassword\""), Err(Invalid::SshKey(2)));
        assert_eq!(
            machine("disk = '/dev/vda1'").map_err(|error| error.to_string()),
            Err("disk: `/dev/vda1` is a partition: expected the whole disk, `/dev/vda`".to_owned())
        );
    }

    #[test]
    fn the_example_of_every_key_is_a_machine() {
        let definition = Definition::parse(EXAMPLE, Format::Toml).expect("a definition");

        let machine = Machine::new(&definition, server()).expect("a machine");

        assert_eq!((machine.disk, machine.installer_shell), ("serial:S4EWNX0N123456".parse().ok(), true));
        assert_eq!(machine.ssh_keys.len(), 2);
    }

    #[test]
    fn the_example_of_every_key_has_every_key() {
        let example: toml::Table = toml::from_str(EXAMPLE).expect("TOML");
        // What the parser offers in place of a key that it does not know: "…, expected one of `a`, `b`".
        let error = Definition::parse("'?' = 0", Format::Toml).expect_err("an unknown key").to_string();
        let known = error.split_once("expected one of").expect("what is known").1;

        let mut known: Vec<_> = known.split('`').skip(1).step_by(2).collect();
        known.sort_unstable();

        assert_eq!(example.keys().collect::<Vec<_>>(), known);
    }

    const EXAMPLE: &str = include_str!("../../../docs/examples/machines/every-key.toml");

    fn machine(more: &str) -> Result<Machine, Invalid> {
        let text = format!("name = 'web'\narch = 'aarch64'\nmac = '52:54:00:00:00:01'\n{more}");
        let definition = Definition::parse(&text, Format::Toml).expect("a definition written in this test");
        Machine::new(&definition, server())
    }

    fn server() -> crate::Ipv4Net {
        "10.77.0.1/24".parse().expect("a network written in this test")
    }
}
