//! Whole exchanges with the DHCPv6 engine: packets go in, answers come out, and time is a number.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy knows a test by its attribute, which fixtures do not have"
)]

mod answer;
mod boots;
mod hostile;
mod lan;
mod leases;
mod names;
mod packet;
mod promises;
mod relays;
mod uuids;
