//! A whole lab of virtual machines, built and booted by `pvmlab` as a user without privileges.
//!
//! `cargo xtask test` builds what these tests need, and says where it is: `PVMLAB_TEST_COMMAND`, `PVMLAB_TEST_IMAGES`. A test
//! that lacks something fails and says what to run.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy knows a test by its attribute, which fixtures do not have"
)]

mod broken_server;
mod lab;
mod shares;
