//! The fuzz targets: one file for each reader or engine, with what must hold whatever it is given.
//!
//! `cargo xtask fuzz` runs them, with libFuzzer underneath. What is in `corpus/` the workspace's tests give them too
//! (`tests/corpus/`), so each finding becomes a file there. Four more are of what is the server's own, and are in
//! `pxe-server/src/fuzz.rs`.

pub mod cloud_init;
pub mod definition;
pub mod dhcp;
pub mod dhcp6;
pub mod disk;
pub mod dns;
mod lab;
pub mod lease_file;
pub mod manifest;
pub mod profile;
pub mod proxy;
pub mod radv;
mod steps;
pub mod tftp;
