//! The daemon alone: the real program and real sockets, each test in a network namespace of its own.
//!
//! What the protocols answer is tested where it is decided, in `pxe-proto`; here it is that they are answered at all, and
//! what happens to the process: its start, its end, its files, and what it says when something is wrong.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something unexpected happens")]

mod addresses;
mod check;
mod classes;
mod client;
mod clients;
mod conflicts;
mod crashes;
mod definitions;
mod dns;
mod durability;
mod firmware;
mod floods;
mod http_only;
mod ipv6;
mod journald;
mod leases;
mod load;
mod nat;
mod proxy;
mod relays;
mod reload;
mod rivals;
mod server;
mod shared;
mod start;
mod tls;
mod udhcpc;
mod unit;
