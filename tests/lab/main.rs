//! Real firmware boots from the real server, in an emulator.
//!
//! `cargo xtask test` builds what these tests need, and says where it is: the server in `PVMLAB_TEST_SERVER`, images in
//! `PVMLAB_TEST_IMAGES`. A test that lacks something fails and says what to run.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy knows a test by its attribute, which fixtures do not have"
)]

mod after_install;
mod bios;
mod debian_installer;
mod definitions;
mod foreign;
mod http_boot;
mod images;
mod install;
mod ipv6;
mod killed;
mod limits;
mod profile;
mod proxy;
mod refusal;
mod restart;
mod tls;
mod unprivileged;
