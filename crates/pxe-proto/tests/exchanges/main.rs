//! Exchanges between clients and the engines, packet by packet, on a virtual clock.

#![allow(clippy::panic, reason = "a test fails by it, here also in what tests share")]

mod answer;
mod boots;
mod classes;
mod destinations;
mod discover;
mod giving_back;
mod hostile;
mod lan;
mod messages;
mod packet;
mod probes;
mod promises;
mod proxy;
mod quirks;
mod reconfigured;
mod relays;
mod request;
mod reservations;
mod shared;
mod takeover;
mod time;
