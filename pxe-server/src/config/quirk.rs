//! `[[quirk]]`: firmware with a fault, as a person writes it.

use pxe_proto::dhcp::Patterns;
use serde::Deserialize;
use toml::Spanned;

use super::value::Count;

/// `[[quirk]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct QuirkSection {
    /// What people call it.
    pub(crate) name: Spanned<String>,
    /// Option 60 is this.
    pub(crate) vendor_class: Option<Patterns>,
    /// One of the classes in option 77 is this.
    pub(crate) user_class: Option<Patterns>,
    /// One of the types in option 93 is among these.
    pub(crate) arch: Option<Vec<u16>>,
    /// The hardware address begins with one of these.
    pub(crate) mac: Option<Vec<String>>,
    /// The most bytes of file in one packet.
    pub(crate) max_block_bytes: Option<Count>,
    /// The most packets in flight.
    pub(crate) max_window_blocks: Option<Count>,
    /// Whether it gets a URL when it asks for one.
    #[serde(default = "yes")]
    pub(crate) http_boot: bool,
}

fn yes() -> bool {
    true
}
