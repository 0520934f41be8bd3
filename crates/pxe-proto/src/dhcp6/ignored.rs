//! Why a packet gets no answer.

use std::net::Ipv6Addr;

use lab_model::MacAddr;

/// The reason for which a datagram is not answered; what the network sends can cause nothing worse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// Shorter than its fixed fields.
    #[error("{0} bytes are no DHCPv6 message")]
    TooShort(usize),
    /// Longer than any client's or relay's.
    #[error("{0} bytes are more than any DHCPv6 message has")]
    TooLong(usize),
    /// A message type that is not for servers.
    #[error("message type {0} is not for servers")]
    NotForServers(u8),
    /// Relayed more often than is allowed (RFC 8415 §7.6).
    #[error("relayed too often")]
    RelayedTooOften,
    /// Relayed from a network that has no pool here.
    #[error("relayed from {0}, which is not on the lab network")]
    ForeignLink(Ipv6Addr),
    /// An option is longer than its message, or not of its form.
    #[error("option {0} is malformed")]
    MalformedOption(u16),
    /// It does not say who it is (RFC 8415 §16).
    #[error("no client identifier")]
    NoClient,
    /// It does not say whom it is for (RFC 8415 §16).
    #[error("no server identifier")]
    NoServer,
    /// It is for all servers, and names one (RFC 8415 §16).
    #[error("a server identifier where there must be none")]
    NeedlessServer,
    /// The client chose another server.
    #[error("meant for another server")]
    OtherServer,
    /// The message is about addresses, and names none.
    #[error("asks for no address")]
    NoAddress,
    /// A client that is not known here, on a network where another server may know it.
    #[error("{0} is not known, and another server may know it")]
    UnknownClient(MacAddr),
    /// Nothing is reserved for the client, and there is no pool.
    #[error("no address is reserved for {0}, and there is no pool")]
    NoPool(MacAddr),
    /// Every address of the pool is leased, on offer or on probation.
    #[error("no address is left for {0}: the pool is exhausted")]
    PoolExhausted(MacAddr),
}

impl Ignored {
    /// The reason's name without its particulars, to count by.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::TooShort(_) => "too-short",
            Self::TooLong(_) => "too-long",
            Self::NotForServers(_) => "not-for-servers",
            Self::RelayedTooOften => "relayed-too-often",
            Self::ForeignLink(_) => "foreign-link",
            Self::MalformedOption(_) => "malformed-option",
            Self::NoClient => "no-client",
            Self::NoServer => "no-server",
            Self::NeedlessServer => "needless-server",
            Self::OtherServer => "other-server",
            Self::NoAddress => "no-address",
            Self::UnknownClient(_) => "unknown-client",
            Self::NoPool(_) => "no-pool",
            Self::PoolExhausted(_) => "pool-exhausted",
        }
    }

    /// Whether the lab's owner should hear of it, because a machine waits in vain for what only the owner can change.
    pub const fn needs_attention(&self) -> bool {
        matches!(self, Self::NoPool(_) | Self::PoolExhausted(_))
    }
}
