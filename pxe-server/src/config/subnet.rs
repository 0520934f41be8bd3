//! `[[dhcp.subnet]]`: a network behind a relay agent, or one that shares another's link, as a person writes it.

use std::net::Ipv4Addr;

use lab_model::Ipv4Net;
use pxe_proto::dhcp::Settings;
use serde::Deserialize;
use toml::Spanned;

use super::value::{AddressRanges, Router, Seconds};

/// `[[dhcp.subnet]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct SubnetSection {
    /// The network, without the address of any host.
    pub(crate) network: Spanned<Ipv4Net>,
    /// The network whose link it shares: the lab's own, or another of these.
    pub(crate) shares_link_with: Option<Spanned<Ipv4Net>>,
    /// The router that its machines are told. Nobody can guess it.
    pub(crate) router: Spanned<Router>,
    /// The addresses for machines that have none reserved; computed from the network where absent.
    pub(crate) pool: Option<Spanned<AddressRanges>>,
    /// How long a machine keeps its address without asking again; as in `[dhcp]` where absent.
    pub(crate) lease_seconds: Option<Seconds>,
    /// The name servers that machines are told; as in `[dhcp]` where absent.
    pub(crate) dns: Option<Vec<Ipv4Addr>>,
    /// The domain that machines are told they belong to; as in `[lab]` where absent.
    pub(crate) domain: Option<String>,
    /// What else machines are told; what is not here is as in `[dhcp.options]`.
    #[serde(default)]
    pub(crate) options: Settings,
}
