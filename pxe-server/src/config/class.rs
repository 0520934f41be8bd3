//! `[[dhcp.class]]`: clients that are treated alike, as a person writes it.

use std::net::Ipv4Addr;

use lab_model::ProfileName;
use pxe_proto::dhcp::{Patterns, Settings};
use serde::Deserialize;
use toml::Spanned;

use super::value::{AddressRanges, Seconds};

/// `[[dhcp.class]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct ClassSection {
    /// What people call it.
    pub(crate) name: Spanned<String>,
    /// Option 60 is this.
    pub(crate) vendor_class: Option<Patterns>,
    /// One of the classes in option 77 is this.
    pub(crate) user_class: Option<Patterns>,
    /// One of the types in option 93 is among these.
    pub(crate) arch: Option<Vec<u16>>,
    /// The UUID in option 97 is this.
    pub(crate) uuid: Option<Patterns>,
    /// The hardware address begins with one of these.
    pub(crate) mac: Option<Vec<String>>,
    /// The relay agent's circuit is this.
    pub(crate) circuit_id: Option<Patterns>,
    /// The relay agent's other end of it is this.
    pub(crate) remote_id: Option<Patterns>,
    /// Addresses for these clients alone.
    pub(crate) pool: Option<Spanned<AddressRanges>>,
    /// How long they keep their address without asking again; the subnet's time where absent.
    pub(crate) lease_seconds: Option<Seconds>,
    /// The profile of those whose definition names none, and of strangers.
    pub(crate) profile: Option<Spanned<ProfileName>>,
    /// What their firmware loads: a URL, a name for TFTP, or `none`; what every machine's does where absent.
    pub(crate) boot_file: Option<String>,
    /// Where TFTP serves that, if not here.
    pub(crate) next_server: Option<Spanned<Ipv4Addr>>,
    /// What they are told.
    #[serde(default)]
    pub(crate) options: Settings,
}
