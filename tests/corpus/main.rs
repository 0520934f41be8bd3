//! What a fuzzer once began with or found, given to every reader and engine again.
//!
//! `cargo xtask fuzz` finds more; four targets are of `pxe-server`'s own, and so are their inputs' tests.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

#[expect(unreachable_pub, reason = "it is a library where the fuzzer is built")]
#[path = "../../crates/pxe-proto/fuzz/src/lib.rs"]
mod targets;

use std::{fs, path::Path};

use targets::{cloud_init, definition, dhcp, dhcp6, disk, dns, lease_file, manifest, profile, proxy, radv, tftp};

#[test]
fn cloud_init() {
    replay("cloud_init", cloud_init::run);
}

#[test]
fn definition() {
    replay("definition", definition::run);
}

#[test]
fn dhcp() {
    replay("dhcp", dhcp::run);
}

#[test]
fn dhcp6() {
    replay("dhcp6", dhcp6::run);
}

#[test]
fn disk() {
    replay("disk", disk::run);
}

#[test]
fn dns() {
    replay("dns", dns::run);
}

#[test]
fn lease_file() {
    replay("lease_file", lease_file::run);
}

#[test]
fn manifest() {
    replay("manifest", manifest::run);
}

#[test]
fn profile() {
    replay("profile", profile::run);
}

#[test]
fn proxy() {
    replay("proxy", proxy::run);
}

#[test]
fn radv() {
    replay("radv", radv::run);
}

#[test]
fn tftp() {
    replay("tftp", tftp::run);
}

fn replay(name: &str, target: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/pxe-proto/fuzz/corpus").join(name);
    let inputs = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    assert!(!inputs.is_empty(), "there is nothing to replay");
    for input in inputs {
        eprintln!("{}", input.display());
        target(&fs::read(input).unwrap());
    }
}
