//! The installer: PID 1 of a network-booted machine's initrd.
//!
//! PID 1 ([`init`]) mounts, waits and tries again; each [`attempt`] is a child of it, and goes through the phases in their order:
//!
//! | phase | does | file |
//! | --- | --- | --- |
//! | start | loads drivers by the initrd's own `modprobe` | [`modules`], [`controller`] |
//! | network | switches the interface on, gets an address | [`network`], [`dhcp`], [`dhcp6`], [`link`] |
//! | config | learns from the server what to install | [`command_line`], [`config`] |
//! | disk | chooses the disk, or refuses to guess; leaves a stranger's alone | [`disk`], [`occupant`] |
//! | write | fetches, verifies, decompresses and writes chunk by chunk, and records on the disk what is there | [`table`], [`transfer`], [`fetch`], [`mod@write`], [`device`], [`record`] |
//! | verify | says so, once every chunk is on the medium | [`install`] |
//! | seed | writes the cloud-init seed into its partition | [`seed`] |
//! | finish | makes the disk bootable | [`partition`], [`mod@write`] |
//! | boot | (in memory: [`memory_disk`], [`loop_device`]) reboots, switches off, or starts the installed kernel | [`reboot`], [`kexec`] |
//!
//! What firmware needs to boot the disk is destroyed first and written last, so an installation that fails, or loses its power,
//! leaves a disk that does not boot. The next attempt goes on where it was. [`rehearse`] runs everything from `config` to `finish` on a file, as an ordinary process.
//!
//! Deliberately not here: anything that knows a distribution. The image is a disk with a GUID partition table, the seed is an
//! ISO 9660 image, and what they contain is nobody's business.

pub mod attempt;
pub mod backlog;
pub mod block;
pub mod command_line;
pub mod config;
pub mod console;
pub mod controller;
pub mod device;
pub mod dhcp;
pub mod dhcp6;
pub mod disk;
pub mod fetch;
pub mod http;
pub mod init;
pub mod install;
pub mod kexec;
pub mod link;
pub mod loop_device;
pub mod memory;
pub mod memory_disk;
pub mod modules;
pub mod network;
pub mod occupant;
pub mod partition;
pub mod patience;
pub mod reboot;
pub mod record;
pub mod rehearse;
pub mod report;
pub mod seed;
pub mod shell;
pub mod size;
pub mod table;
pub mod transfer;
pub mod write;

pub use block::Block;
pub use device::Device;
pub use fetch::Download;
pub use install::Failure;
pub use patience::Patience;
pub use report::Reports;
pub use table::Table;
