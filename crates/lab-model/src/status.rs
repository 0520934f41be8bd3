//! What the server says of its machines: the answer to `GET /machines`.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Arch, ImageName, MacAddr, MachineName, Stage};

/// The lab as the server sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LabStatus {
    /// Defined machines by name, then strangers by hardware address.
    pub machines: Vec<MachineStatus>,
    /// Definition files that are not in force as they stand, one sentence each, starting with the file's name.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// One machine and how far its latest boot got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MachineStatus {
    /// `None` for a machine that no definition names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<MachineName>,
    /// Its hardware address on the lab network.
    pub mac: MacAddr,
    /// What its processor executes, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    /// The address it has, or would get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// The image that is installed on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageName>,
    /// How far its latest boot got; `None`: it was never seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// When it reached that stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How much of the disk image is written, 0 to 100, while it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// Why it got no further, where something said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What to do about it, where there is something to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
