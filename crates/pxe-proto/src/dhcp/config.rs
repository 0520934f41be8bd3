//! What the engine is told once, at start.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use lab_model::Ipv4Net;

use crate::boot::BaseUrl;

/// The network that the engine serves, and what it tells its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The server's own address on the lab network, with the network's prefix.
    pub server: Ipv4Net,
    /// The addresses for clients without a reservation, both ends included; those outside of the network, the server's
    /// own and the reserved ones are left out. `None`: clients without a reservation get no answer.
    pub pool: Option<RangeInclusive<Ipv4Addr>>,
    /// How long a client may use its address before it has to ask again; counted in whole seconds.
    pub lease: Duration,
    /// How long an offered address is kept for the client it was offered to.
    pub offer_hold: Duration,
    /// How long an address that a client declined is given to nobody.
    pub decline_hold: Duration,
    /// The default gateway.
    pub router: Option<Ipv4Addr>,
    /// The name servers, most wanted first.
    pub dns: Vec<Ipv4Addr>,
    /// The domain of the machines' names, without a leading dot.
    pub domain: Option<String>,
    /// Whether this is the network's only DHCP server, which says no to a client that has its address from elsewhere.
    pub authoritative: bool,
    /// Where boot programs fetch from.
    pub base: BaseUrl,
}
