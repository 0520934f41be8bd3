//! The bench: real firmware in an emulator, on a network of the test's own.
//!
//! A test enters a [`Namespace`], assembles [`Hardware`], switches it on as a [`Guest`] and follows its [`Console`].
//! Everything belongs to a value and ends when that is dropped, and programs end with the test that started them, even if it
//! is killed. What stays are logs, where somebody keeps them ([`LOGS_VARIABLE`]).
//!
//! Deliberately not here: what a boot should look like, which the tests in `tests/lab/` say.

mod archive;
pub mod certificates;
mod console;
mod dnsmasq;
mod firmware;
mod guest;
mod hardware;
mod host;
mod lab;
mod logs;
mod namespace;
pub mod outside;
pub mod process;
mod qmp;
mod server;
mod ssh;
mod supplies;
mod tftp_peer;
pub mod timeline;
mod unpacked;
pub mod vendor;
mod virtual_lab;
mod wire;

pub use archive::Archive;
pub use console::Console;
pub use dnsmasq::Dnsmasq;
pub use firmware::Rom;
pub use guest::Guest;
pub use hardware::{Hardware, Link, NetworkBoot};
pub use host::Host;
pub use lab::Lab;
pub use logs::LOGS_VARIABLE;
pub use namespace::{BRIDGE, NEIGHBOUR, Namespace, SERVER, SERVER6, network};
pub use server::Service;
pub use ssh::{Key, Login};
pub use supplies::Supplies;
pub use tftp_peer::{TftpPeer, TftpPeers};
pub use unpacked::Unpacked;
pub use virtual_lab::VirtualLab;
pub use wire::{Request, Wire};
