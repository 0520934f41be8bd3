//! The decisions of a network-boot server.
//!
//! Bytes and `now` come in as arguments, an action comes out as a value: there is no socket, file, clock or task here.

pub mod boot;
pub mod dhcp;
pub mod dhcp6;
pub mod dns;
mod domain_name;
pub mod firmware;
mod glob;
pub mod lease_file;
pub mod radv;
pub mod tftp;
