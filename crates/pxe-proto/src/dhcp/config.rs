//! What the engine is told by its owner.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use lab_model::Ipv4Net;

use super::{Class, Settings};
use crate::boot::BaseUrl;

/// The networks that the engine serves, and what holds on all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The server's own address.
    pub server: Ipv4Addr,
    /// The subnet of the link that the server is on.
    pub lab: Subnet,
    /// The others: those whose clients' messages come by way of relay agents, and those that share a link.
    pub relayed: Vec<Subnet>,
    /// Clients that are treated alike. One that is of several gets what the first of them says.
    pub classes: Vec<Class>,
    /// How long an offered address is kept for the client it was offered to.
    pub offer_hold: Duration,
    /// How long an address that a client declined is given to nobody.
    pub decline_hold: Duration,
    /// Whether this is the networks' only DHCP server, which says no to a client that has its address from elsewhere.
    pub authoritative: bool,
    /// Whether the link is asked, before an address is offered to a client that is new to it, if somebody has it (RFC 2131 §3.1,
    /// step 2). Whoever says yes has to answer each [`super::Action::Probe`].
    pub probe: bool,
    /// Where boot programs fetch from.
    pub base: BaseUrl,
}

/// A subnet and what its clients are told. No two have an address in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The network with its prefix, whatever the host's part of the address is.
    pub network: Ipv4Net,
    /// The network whose link it shares, if it is not the first of its link: a client there may get an address of either, of the
    /// first that has room.
    pub link: Option<Ipv4Net>,
    /// The addresses for clients without a reservation, both ends included; those outside of the network, the server's
    /// own, the router's and the reserved ones are left out. Empty: clients without a reservation get no answer.
    pub pool: Vec<RangeInclusive<Ipv4Addr>>,
    /// How long a client may use its address before it has to ask again; counted in whole seconds.
    pub lease: Duration,
    /// The default gateway.
    pub router: Option<Ipv4Addr>,
    /// The name servers, most wanted first.
    pub dns: Vec<Ipv4Addr>,
    /// The domain of the machines' names, without a leading dot.
    pub domain: Option<String>,
    /// What else clients are told, in place of what the server would say by itself.
    pub options: Settings,
}
