//! DHCP for IPv4 (RFC 2131), with what network boot needs of it.
//!
//! A datagram becomes a [`Request`] or an [`Ignored`]; [`Engine::handle`] answers a request with an [`Action`]. A
//! [`Reply`] carries the finished message, its [`Destination`] and, where the client is promised an address, the
//! [`LeaseRecord`] that must be on disk before the message is sent. At start those records go back through
//! [`Engine::restore`].
//!
//! An address that is new to a client is offered when the link has been asked whether somebody has it (RFC 2131 §3.1, step 2):
//! [`Action::Probe`] says so, and [`Engine::handle_probe`] takes the verdict. Meanwhile all others are answered.
//!
//! A client is its Ethernet address. RFC 2131 §4.2 would have the client identifier (option 61) instead, but one machine
//! is three clients within a minute: its firmware sends none, iPXE sends its hardware address, and the installed system
//! makes up a new one at each fresh first boot. A machine is to have one address, so the identifier is only echoed.
//!
//! Where another server gives the addresses, [`Proxy`] says what machines boot, and no more.
//!
//! Deliberately not here: sockets and the clock, which file a machine boots ([`crate::boot`] decides), addresses for
//! clients that are not on Ethernet, and BOOTP without DHCP.

mod address;
pub mod arp;
mod boot_file;
mod claimants;
mod class;
pub(crate) mod client;
mod config;
mod destination;
mod domain_names;
mod engine;
mod frame;
mod free;
mod guard;
pub(crate) mod hostname;
mod ignored;
mod known;
mod layout;
mod lease;
pub(crate) mod leases;
mod link;
mod options;
mod pool;
mod probes;
mod proxy;
mod received;
mod refusal;
mod relay_agent;
mod reply;
mod request;
mod rival;
mod settings;
mod takeover;

pub use address::Address;
pub use class::{Class, ClassBoot, Patterns, Selector};
pub use client::Client;
pub use config::{Config, Subnet};
pub use destination::Destination;
pub use engine::{Action, Change, Engine};
pub use frame::FrameSender;
pub use ignored::Ignored;
pub use known::{KNOWN_OPTIONS, Kind, KnownOption};
pub use lease::{LeaseRecord, LeaseState, UnixSeconds};
pub use probes::Verdict;
pub use proxy::{Arrival, Audience, Heard, Proxy, ProxyAction, ProxyConfig};
pub use refusal::Refusal;
pub use reply::{Reply, ReplyKind};
pub use request::{Request, RequestKind};
pub use rival::server_of;
pub use settings::Settings;
pub use takeover::NotTakenOver;
