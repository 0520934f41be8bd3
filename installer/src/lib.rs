//! The installer: PID 1 of a network-booted machine's initrd.
//!
//! Deliberately not here: anything that knows a distribution. The image is a disk with a GUID partition table, the seed is an
//! ISO 9660 image, and what they contain is nobody's business.

pub mod attempt;
pub mod block;
pub mod command_line;
pub mod config;
pub mod console;
pub mod device;
pub mod dhcp;
pub mod disk;
pub mod fetch;
pub mod http;
pub mod init;
pub mod install;
pub mod kexec;
pub mod link;
pub mod memory;
pub mod modules;
pub mod network;
pub mod partition;
pub mod patience;
pub mod reboot;
pub mod rehearse;
pub mod report;
pub mod seed;
pub mod shell;
pub mod size;
pub mod stream;
pub mod write;

pub use block::Block;
pub use device::Device;
pub use fetch::Download;
pub use install::Failure;
pub use patience::Patience;
pub use report::Reports;
