//! Why a packet gets no answer.

use std::net::Ipv4Addr;

use lab_model::MacAddr;

/// The reason for which a datagram is not answered; what the network sends can cause nothing worse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// Shorter than the fixed fields and the cookie (RFC 2131 §2).
    #[error("{0} bytes are no DHCP message")]
    TooShort(usize),
    /// A reply, or no BOOTP at all.
    #[error("operation {0} is no request")]
    NotARequest(u8),
    /// A hardware address longer than its field.
    #[error("a hardware address of {0} bytes")]
    HardwareAddressTooLong(u8),
    /// BOOTP without options, or other vendor extensions (RFC 2131 §3).
    #[error("no DHCP cookie")]
    NoCookie,
    /// A kind of network that a lab has not.
    #[error("hardware type {hardware_type} with addresses of {length} bytes is not Ethernet")]
    NotEthernet {
        /// `htype` (RFC 1700, ARP section).
        hardware_type: u8,
        /// `hlen`.
        length: u8,
    },
    /// A hardware address that no single interface can have.
    #[error("{0} is not the address of one interface")]
    NotOneInterface(MacAddr),
    /// BOOTP, or a message type that is not for servers.
    #[error("no message type that a server answers")]
    NoMessageType,
    /// An option that decides about the answer has a wrong length.
    #[error("option {0} is malformed")]
    MalformedOption(u8),
    /// Relayed from a network that is not served.
    #[error("relayed by {0}, which is on no subnet of the configuration")]
    ForeignRelay(Ipv4Addr),
    /// For a subnet that is not served, by the word of the relay agent (RFC 3527) or of the client (RFC 3011).
    #[error("for the subnet of {0}, which is not in the configuration")]
    ForeignSubnet(Ipv4Addr),
    /// From a client that has its address from elsewhere.
    #[error("{0} is on no subnet of the configuration")]
    ForeignClient(Ipv4Addr),
    /// The client chose another server's offer (RFC 2131 §3.1, step 4).
    #[error("meant for server {0}")]
    OtherServer(Ipv4Addr),
    /// The request names no address.
    #[error("asks for no address")]
    NoAddress,
    /// A client that is not known here, on a network where another server may know it (RFC 2131 §4.3.2).
    #[error("{0} is not known, and another server may know it")]
    UnknownClient(MacAddr),
    /// The client asks again while the link is being asked about its address; it is answered then.
    #[error("whether {0} is free is not known yet")]
    Probing(Ipv4Addr),
    /// It is about an address, and another server gives those.
    #[error("addresses are another server's matter")]
    AddressesElsewhere,
    /// A client that is to boot nothing from here.
    #[error("{0} is to boot nothing from here")]
    NothingToBoot(MacAddr),
    /// A network boot client that nobody defined, where only defined machines are told what to boot.
    #[error("{0} is not defined, and only machines that are defined boot from here")]
    Stranger(MacAddr),
    /// The client gives back or refuses what it has not got.
    #[error("{0} has not got {1}")]
    NotTheirs(MacAddr, Ipv4Addr),
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
            Self::NotARequest(_) => "not-a-request",
            Self::HardwareAddressTooLong(_) => "hardware-address-too-long",
            Self::NoCookie => "no-cookie",
            Self::NotEthernet { .. } => "not-ethernet",
            Self::NotOneInterface(_) => "not-one-interface",
            Self::NoMessageType => "no-message-type",
            Self::MalformedOption(_) => "malformed-option",
            Self::ForeignRelay(_) => "foreign-relay",
            Self::ForeignSubnet(_) => "foreign-subnet",
            Self::ForeignClient(_) => "foreign-client",
            Self::OtherServer(_) => "other-server",
            Self::NoAddress => "no-address",
            Self::UnknownClient(_) => "unknown-client",
            Self::Probing(_) => "probing",
            Self::AddressesElsewhere => "addresses-elsewhere",
            Self::NothingToBoot(_) => "nothing-to-boot",
            Self::Stranger(_) => "stranger",
            Self::NotTheirs(..) => "not-theirs",
            Self::NoPool(_) => "no-pool",
            Self::PoolExhausted(_) => "pool-exhausted",
        }
    }

    /// Whether the lab's owner should hear of it, because a machine waits in vain for what only the owner can change.
    pub const fn needs_attention(&self) -> bool {
        matches!(self, Self::ForeignRelay(_) | Self::ForeignSubnet(_) | Self::NoPool(_) | Self::PoolExhausted(_))
    }
}
