//! Why a client may not have an address.

use std::net::Ipv4Addr;

/// The reason for a DHCPNAK, or for looking further for an address to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal<A = Ipv4Addr> {
    /// Not an address that a client of this network can have.
    #[error("it is not a client's address on this network")]
    ForeignNetwork,
    /// Somebody else has it, or was offered it.
    #[error("another client has it")]
    Taken,
    /// A client found it in use by a host that did not ask us (RFC 2131 §4.3.3).
    #[error("a host that did not ask for it uses it")]
    OnProbation,
    /// It is reserved for another machine.
    #[error("it is reserved for another machine")]
    ReservedForAnother,
    /// The client has a reservation, and it is another address.
    #[error("{0} is reserved for this machine")]
    Reserved(A),
    /// The client has another address already.
    #[error("this machine has {0}")]
    Has(A),
    /// Neither reserved for the client nor in the pool.
    #[error("it is not in the pool")]
    NotInPool,
}
