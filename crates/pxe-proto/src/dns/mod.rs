//! DNS for the lab: its own names, and a way to everybody else's (RFC 1034, RFC 1035).
//!
//! [`Engine::handle`] takes a client's message and returns what is to be done: [`Action::Reply`], or [`Action::Ask`] of a name
//! server elsewhere, whose answer comes back by [`Engine::answered`]. What happens by itself after a time is
//! [`Engine::poll_timeout`]'s and [`Engine::handle_timeout`]'s. The lab's names are a [`Zone`], which is built anew when
//! machines or leases change. Whatever a client is promised about time (a dead name server costs it seconds, not minutes) is
//! kept here, on the caller's clock.
//!
//! What is never asked of anybody else: names in the lab's domain and addresses of its network, whether they exist or not,
//! and those that mean nothing outside of a network (`special`).
//!
//! The messages of others are read by the crate `domain`, whose views borrow and allocate nothing; an answer from elsewhere is
//! passed on byte for byte but for its header, its OPT record and what time took of it.
//!
//! Deliberately not here: sockets and randomness, zone transfers, dynamic updates, DNSSEC validation (what is signed is passed
//! on to those who ask for it, without a word of ours that it is true), and any guess at what a name might have meant.

mod answer;
mod ask;
mod block;
mod cache;
mod engine;
mod pending;
mod query;
mod rates;
mod reply;
mod special;
#[cfg(test)]
mod tests;
mod upstreams;
mod zone;

use domain::base;

pub use ask::{Ask, Transport};
pub use engine::{Action, Client, Config, Engine};
pub use zone::{Domain, Lease, NotADomain, Origin, SERVER_NAME, Sources, Zone};

/// A name in its wire format, of any case: two that differ in case alone are equal (RFC 4343 §3).
type Name = base::Name<Vec<u8>>;
