//! What the engine is told by its owner.

use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use lab_model::Ipv6Net;

use crate::boot::BaseUrl;

/// The network that the engine serves, and what it tells its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The server's own address on the lab network, with the network's prefix.
    pub server: Ipv6Net,
    /// The server's DUID (RFC 8415 §11), the same for ever: by it a client knows whom it has its address from.
    pub duid: Vec<u8>,
    /// The addresses for clients without a reservation, both ends included. `None`: those get no answer.
    pub pool: Option<RangeInclusive<Ipv6Addr>>,
    /// How long a client may use its address before it has to ask again; counted in whole seconds.
    pub lease: Duration,
    /// How long an offered address is kept for the client it was offered to.
    pub offer_hold: Duration,
    /// How long an address that a client declined is given to nobody.
    pub decline_hold: Duration,
    /// The name servers, most wanted first.
    pub dns: Vec<Ipv6Addr>,
    /// The domain of the machines' names.
    pub domain: Option<String>,
    /// Whether those who have an address from here are found by their names: this server's DNS answers them.
    pub names: bool,
    /// Whether this is the network's only DHCPv6 server: then clients need not wait for the offers of others.
    pub authoritative: bool,
    /// Where boot programs fetch from.
    pub base: BaseUrl,
}
