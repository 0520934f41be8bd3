//! The lab file: a lab as a person declares it, in TOML.
//!
//! What a file leaves out is nobody's wish: [`crate::plan`] compares only what is written here with what is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lab_model::{Arch, ImageName, Ipv4Net, MacAddr, MachineName, ProfileName};
use serde::Deserialize;

use crate::error::{Failure, Kind, Result};

/// A declared lab.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct LabFile {
    /// The machine that serves, and with it the lab's network.
    pub(crate) provisioner: DeclaredProvisioner,
    /// The machines that boot from it, by name.
    #[serde(default)]
    pub(crate) targets: BTreeMap<MachineName, DeclaredTarget>,
}

/// A provisioner, as declared.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table `[provisioner]`")]
pub(crate) struct DeclaredProvisioner {
    /// Its name; `provisioner` when left out.
    #[serde(default = "provisioner_name")]
    pub(crate) name: MachineName,
    /// Its address on the lab network, with the length of the network's prefix.
    pub(crate) ip: Ipv4Net,
    /// The same for IPv6, in the form `fd00:cafe::1/64`.
    pub(crate) ipv6: Option<String>,
    /// What its processor executes.
    pub(crate) arch: Option<Arch>,
    /// Its hardware address on the lab network.
    pub(crate) mac: Option<MacAddr>,
    /// The image that its disk is made from.
    pub(crate) distro: Option<ImageName>,
    /// How large its disk is, in the form `15G`.
    pub(crate) disk_size: Option<String>,
    /// How much memory it has, in MiB.
    pub(crate) memory_mib: Option<u32>,
    /// How many processors it has.
    pub(crate) cpus: Option<u32>,
}

/// A target, as declared.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct DeclaredTarget {
    /// Its address, with or without the length of the network's prefix; the next free one when left out.
    pub(crate) ip: Option<String>,
    /// Its IPv6 address, with or without the length of the network's prefix.
    pub(crate) ipv6: Option<String>,
    /// Whether it is installed over the network onto a blank disk, as is usual; if not, its disk is made from the image.
    #[serde(default = "usually")]
    pub(crate) pxeboot: bool,
    /// What its processor executes.
    pub(crate) arch: Option<Arch>,
    /// Its hardware address on the lab network.
    pub(crate) mac: Option<MacAddr>,
    /// The image that is installed on it.
    pub(crate) distro: Option<ImageName>,
    /// What it boots from the network beside an image.
    pub(crate) profile: Option<ProfileName>,
    /// How large its disk is, in the form `15G`.
    pub(crate) disk_size: Option<String>,
    /// How much memory it has, in MiB.
    pub(crate) memory_mib: Option<u32>,
    /// How many processors it has.
    pub(crate) cpus: Option<u32>,
    /// What cloud-init is told as user-data: a file, relative to the lab file's folder as the next ones are.
    pub(crate) user_data: Option<PathBuf>,
    /// What cloud-init is told as vendor-data.
    pub(crate) vendor_data: Option<PathBuf>,
    /// How it reaches its networks.
    pub(crate) network_config: Option<PathBuf>,
    /// Files with public keys that may log in beside the lab's own.
    pub(crate) ssh_keys: Option<Vec<PathBuf>>,
}

impl LabFile {
    /// Reads the file.
    ///
    /// # Errors
    /// There is none, or it says something that cannot be; the message names the line and the key.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::new(Kind::NotFound, format!("there is no {}", path.display()))
                .hinted("write one: `pvmlab up --help` shows the shortest that does something"),
            _ => Failure::new(Kind::Failed, format!("cannot read {}: {error}", path.display())),
        })?;
        Self::parse(&text).map_err(|problem| {
            Failure::new(Kind::Usage, format!("{}: {problem}", path.display()))
                .hinted("`pvmlab up --help` shows a lab file, and docs/examples/lab/lab.toml one with every key")
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let lab: Self = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        if lab.targets.contains_key(&lab.provisioner.name) {
            return Err(format!("targets.{0}: the provisioner is called `{0}` already", lab.provisioner.name));
        }
        Ok(lab)
    }
}

fn provisioner_name() -> MachineName {
    "provisioner".parse().expect("a host name label")
}

fn usually() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_example_is_a_lab() {
        let lab = LabFile::parse(include_str!("../../docs/examples/lab/lab.toml")).expect("a lab");

        let names: Vec<_> = lab.targets.keys().map(MachineName::as_str).collect();
        assert_eq!((lab.provisioner.name.as_str(), names), ("provisioner", vec!["db", "web"]));
    }

    #[test]
    fn what_cannot_be_is_named() {
        let problem = |text| LabFile::parse(text).expect_err("no lab");

        insta::assert_snapshot!("no_provisioner", problem("[targets.web]\n"));
        insta::assert_snapshot!("unknown_key", problem("[provisioner]\nip = '10.0.0.1/24'\ncolour = 'red'\n"));
        insta::assert_snapshot!("no_prefix", problem("[provisioner]\nip = '10.0.0.1'\n"));
        insta::assert_snapshot!("bad_name", problem("[provisioner]\nip = '10.0.0.1/24'\n[targets.Web]\n"));
        insta::assert_snapshot!(
            "one_name_twice",
            problem("[provisioner]\nname = 'a'\nip = '10.0.0.1/24'\n[targets.a]\n")
        );
    }
}
