//! Router advertisements (RFC 4861 §6.2): machines learn the lab's IPv6 prefix, where to ask for an address, and the way out.
//!
//! [`Router::handle`] hears solicitations, [`Router::handle_timeout`] says when an advertisement is due and what it says. Every
//! advertisement goes to all nodes of the link: however many machines ask, and however often, one every three seconds answers
//! them all.
//!
//! Deliberately not here: the socket, which must send and hear with the hop limit 255, and whether this machine forwards.

mod advertisement;
mod chance;
mod ignored;
mod router;
mod solicitation;
mod withdrawal;

pub use advertisement::Config;
pub use ignored::Ignored;
pub use router::Router;
