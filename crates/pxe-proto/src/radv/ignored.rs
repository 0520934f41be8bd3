//! Why a packet is no solicitation.

use std::net::Ipv6Addr;

/// The reason for which an ICMPv6 packet changes nothing (RFC 4861 §6.1.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// Another message of ICMPv6: its type.
    #[error("type {0} is no router solicitation")]
    NotASolicitation(u8),
    /// It came from another link: a router on the way has counted it down.
    #[error("the hop limit is {0:?} and not 255: it comes from another link")]
    FromElsewhere(Option<u8>),
    /// Shorter than its fixed fields.
    #[error("{0} bytes are no router solicitation")]
    TooShort(usize),
    /// A code that nobody defined.
    #[error("code {0} is not defined")]
    Code(u8),
    /// An option of no length, or longer than the packet.
    #[error("an option is malformed")]
    MalformedOption,
    /// Without an address it cannot have a link-layer address either.
    #[error("a link-layer address of nobody")]
    LinkLayerAddressOfNobody,
    /// No address that a neighbour can have.
    #[error("{0} is no address of a neighbour")]
    Sender(Ipv6Addr),
}
