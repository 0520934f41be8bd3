//! DHCP for IPv6 (RFC 8415), with what network boot needs of it (RFC 5970).
//!
//! A datagram becomes a [`Request`] or an [`Ignored`]; [`Engine::handle`] answers a request with an [`Action`]. As in
//! [`crate::dhcp`], a [`Reply`] carries the finished message and, where the client is promised an address, the lease that must be
//! on disk before the message is sent; at start those come back through [`Engine::restore`].
//!
//! A client is its Ethernet address here too, and not its DUID, so that a machine is one client whatever runs on it, and its
//! definition's. What it says of its hardware ([`Client`]) is taken from the nearest witness. It gets one address, whatever it names
//! its identity associations (IA_NA); of two in one message the first gets it.
//!
//! Options are read and written by ourselves: that is a walk over code, length and data, with one level below it, and nothing recurs.
//! The library that reads IPv4's messages reads nested IPv6 options by recursion, and 48 KB of them end the process.
//!
//! Deliberately not here: sockets and the clock, which file a machine boots ([`crate::boot`] decides), temporary addresses (IA_TA),
//! delegated prefixes (IA_PD), Reconfigure, and networks behind relays that have another prefix.

mod client;
mod config;
mod engine;
mod ignored;
mod options;
mod relay;
mod reply;
mod request;

pub use client::Client;
pub(crate) use client::known_by;
pub use config::Config;
pub use engine::{Action, Engine};
pub use ignored::Ignored;
pub use reply::{Reply, ReplyKind};
pub use request::{Request, RequestKind};
