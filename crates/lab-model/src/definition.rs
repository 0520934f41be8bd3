//! A machine's definition, as people and programs write it.
//!
//! The keys are the ones that the first pvmlab wrote to `vms/<name>.json`, so its files are read as they are; TOML with
//! the same keys is for people who write definitions by hand. A definition is only words: [`crate::Machine`] is what they mean.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Arch, CloudInit, Document, ImageName, MacAddr, MachineName, Once, ProfileName, Uuid};

/// A machine as written; every value has its type, but nothing has been checked against the network or other machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The host name and the machine's identity in the lab.
    pub name: MachineName,
    /// Whether it serves or is served; a target unless said otherwise.
    #[serde(default)]
    pub role: Role,
    /// What its processor executes.
    pub arch: Arch,
    /// Its hardware address on the lab network.
    pub mac: MacAddr,
    /// Its UUID, by which its DHCPv6 clients are known that show no hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    /// Its IPv4 address on the lab network, with or without a prefix length (`10.77.0.10/24`); empty or absent: from the pool.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ip: String,
    /// The IPv4 network that `ip` belongs to, as `10.77.0.0/24`; the first pvmlab wrote it, the server's own network rules.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subnet: String,
    /// Its IPv6 address, with or without a prefix length.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ipv6: String,
    /// The IPv6 network that `ipv6` belongs to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subnetv6: String,
    /// The host's port that is forwarded to the machine's SSH; the `pvmlab` command's business.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ssh_port: u16,
    /// Whether it boots from the network when its disk does not boot.
    #[serde(default)]
    pub pxeboot: bool,
    /// The image that is installed on it; needed with `pxeboot`, unless its profile needs none.
    #[serde(default, deserialize_with = "empty_is_none", skip_serializing_if = "Option::is_none")]
    pub distro: Option<ImageName>,
    /// What it boots from the network; without it the first profile that is for machines like it, else `distro` is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileName>,
    /// What its next boot from the network takes instead of all that, whether or not it has `pxeboot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<Once>,
    /// Values of its own for the templates of its profile.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, String>,
    /// One public key, or several on lines of their own, in `authorized_keys` form, that may log in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ssh_key: String,
    /// Written by the first pvmlab for its boot script; the image's manifest rules here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kernel: String,
    /// Written by the first pvmlab for its boot script; the image's manifest rules here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub initrd: String,
    /// The disk that is written, in one of [`crate::DiskName`]'s forms (`/dev/vdb`, `serial:…`); empty or absent: its only disk.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub disk: String,
    /// Whether the disk is written even where somebody else's system or data is on it; such a disk is refused otherwise.
    #[serde(default, skip_serializing_if = "is_false")]
    pub wipe: bool,
    /// How the installed system is started; a reboot through the firmware unless said otherwise.
    #[serde(default, skip_serializing_if = "AfterInstall::is_default")]
    pub after_install: AfterInstall,
    /// Whether its installer starts with a shell on the console, and installs when that is left.
    #[serde(default, skip_serializing_if = "is_false")]
    pub installer_shell: bool,
    /// What its system is told beside what the lab tells it: cloud-init's user-data, of any kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<Document>,
    /// The same as vendor-data, which user-data goes before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_data: Option<Document>,
    /// How its system reaches its networks, cloud-init's version 1 or 2; DHCP on the lab network when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_config: Option<Document>,
}

/// What a machine is in the lab.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs `pxe-server` for the others.
    Provisioner,
    /// Boots from the network and is installed.
    #[default]
    Target,
}

/// How a machine goes on once its disk is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterInstall {
    /// Through its firmware, as every later boot.
    #[default]
    Reboot,
    /// Straight into the installed kernel by `kexec_file_load(2)`, where the image says with which arguments.
    Kexec,
    /// It is switched off.
    PowerOff,
}

impl AfterInstall {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The language that a definition is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 8259; files named `*.json`.
    Json,
    /// TOML 1.0; files named `*.toml`.
    Toml,
}

impl Format {
    /// The format of a file by its name; `None` for a file that holds no definition.
    pub fn of_file(name: &str) -> Option<Self> {
        match name.rsplit_once('.') {
            Some((stem, "json")) if !stem.is_empty() => Some(Self::Json),
            Some((stem, "toml")) if !stem.is_empty() => Some(Self::Toml),
            _ => None,
        }
    }
}

/// The text is no definition. The message names line and key, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedDefinition(String);

impl Definition {
    /// The shortest definition: a target whose other keys are left out.
    pub fn new(name: MachineName, arch: Arch, mac: MacAddr) -> Self {
        Self {
            name,
            role: Role::default(),
            arch,
            mac,
            uuid: None,
            ip: String::new(),
            subnet: String::new(),
            ipv6: String::new(),
            subnetv6: String::new(),
            ssh_port: 0,
            pxeboot: false,
            distro: None,
            profile: None,
            once: None,
            vars: BTreeMap::new(),
            ssh_key: String::new(),
            kernel: String::new(),
            initrd: String::new(),
            disk: String::new(),
            wipe: false,
            after_install: AfterInstall::default(),
            installer_shell: false,
            user_data: None,
            vendor_data: None,
            network_config: None,
        }
    }

    /// Its cloud-init documents.
    pub fn cloud_init(&self) -> CloudInit {
        CloudInit {
            user_data: self.user_data.clone(),
            vendor_data: self.vendor_data.clone(),
            network_config: self.network_config.clone(),
        }
    }

    /// The same definition with these documents.
    pub fn with_cloud_init(self, documents: CloudInit) -> Self {
        let CloudInit { user_data, vendor_data, network_config } = documents;
        Self { user_data, vendor_data, network_config, ..self }
    }

    /// Reads one definition.
    ///
    /// # Errors
    /// The text is not of this format, misses a key, has an unknown one, or a value does not have its key's form.
    pub fn parse(text: &str, format: Format) -> Result<Self, MalformedDefinition> {
        match format {
            Format::Json => from_json(text),
            Format::Toml => toml::from_str(text).map_err(|error| MalformedDefinition(toml_error(&error, text))),
        }
    }
}

fn from_json(text: &str) -> Result<Definition, MalformedDefinition> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let definition = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let key = error.path().to_string();
        let error = error.into_inner();
        // A value of the wrong form has a key; broken syntax and unknown keys speak for themselves.
        MalformedDefinition(if error.is_data() && !error.to_string().contains("field `") && key != "." {
            format!("{key}: {error}")
        } else {
            error.to_string()
        })
    })?;
    reader.end().map_err(|error| MalformedDefinition(error.to_string()))?;
    Ok(definition)
}

/// Quotes the line that is wrong, but none of a definition with documents: anybody may be told what is wrong with it.
fn toml_error(error: &toml::de::Error, text: &str) -> String {
    if !["user_data", "vendor_data", "network_config"].iter().any(|key| text.contains(key)) {
        return error.to_string();
    }
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count() + 1, error.message())
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(port: &u16) -> bool {
    *port == 0
}

/// The first pvmlab writes `""` where there is no distribution.
fn empty_is_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<ImageName>, D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_file_of_the_first_pvmlab_as_it_is() {
        let text = r#"{
  "name": "web", "role": "target", "arch": "aarch64", "ip": "192.168.100.10", "subnet": "192.168.100.0/24",
  "ipv6": "fd00:cafe:baba::10", "subnetv6": "fd00:cafe:baba::/64", "mac": "52:54:00:AA:bb:01", "ssh_port": 0,
  "pxeboot": true, "distro": "ubuntu-24.04", "ssh_key": "ssh-ed25519 AAAA lab", "kernel": "vmlinuz", "initrd": "initrd.gz"
}"#;

        let definition = Definition::parse(text, Format::Json).expect("the first pvmlab's own form");

        assert_eq!(definition.name.as_str(), "web");
        assert_eq!(definition.mac.to_string(), "52:54:00:aa:bb:01");
        assert_eq!(definition.distro.map(|name| name.to_string()), Some("ubuntu-24.04".to_owned()));
    }

    #[test]
    fn the_shortest_definition_is_what_its_text_says() {
        let text = "name = 'web'\narch = 'x86_64'\nmac = '52:54:00:00:00:01'\n";
        let parsed = Definition::parse(text, Format::Toml).expect("a definition");

        let new = Definition::new("web".parse().expect("a name"), Arch::X86_64, MacAddr::new([0x52, 0x54, 0, 0, 0, 1]));

        assert_eq!(new, parsed);
    }

    #[test]
    fn toml_has_the_same_keys() {
        let text = "name = 'web'\narch = 'x86_64'\nmac = '52:54:00:00:00:01'\npxeboot = true\ndistro = 'debian-12'\n";

        let definition = Definition::parse(text, Format::Toml).expect("a definition by hand");

        assert_eq!((definition.arch, definition.role, definition.pxeboot), (Arch::X86_64, Role::Target, true));
    }

    #[test]
    fn an_error_quotes_nothing_of_a_document() {
        let text = "name = 'web'\nuser_data = \"\"\"\n#cloud-config\npassword: \\secret\n\"\"\"\n";

        let error = Definition::parse(text, Format::Toml).expect_err("no escape").to_string();

        assert!(error.starts_with("line 4: ") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn an_error_names_the_place_and_what_was_expected() {
        let error = |text, format| Definition::parse(text, format).expect_err("malformed").to_string();

        insta::assert_snapshot!(error("{\n\"name\": \"web\",\n\"colour\": 1}", Format::Json));
        insta::assert_snapshot!(error("{\"name\": \"web\"", Format::Json));
        insta::assert_snapshot!(error("{\"name\": \"web\",\n \"mac\": \"52:54\"}", Format::Json));
        insta::assert_snapshot!(error("{\"name\": \"web\",\n \"pxeboot\": 1}", Format::Json));
        insta::assert_snapshot!(error("name = 'Web'\narch = 'arm64'\n", Format::Toml));
    }
}
