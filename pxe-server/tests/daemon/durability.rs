//! When an address is confirmed: after its lease is on the disk, or after the kernel has it.

use std::fs;

use lab_model::MacAddr;
use lab_tests::Namespace;
use lab_tests::process::until;

use crate::client::{DhcpClient, elsewhere};
use crate::server::{LIMIT, ON_THE_BRIDGE, Server};

#[test]
fn an_address_is_confirmed_once_its_lease_is_on_the_disk() {
    assert_eq!(steps("synced"), [Step::Sent, Step::Written, Step::OnDisk, Step::Sent]);
}

#[test]
fn an_address_is_confirmed_without_the_disk_where_that_is_asked_for() {
    assert_eq!(steps("buffered"), [Step::Sent, Step::Written, Step::Sent]);
}

/// What the server does, as the kernel sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A DHCP message leaves, as a frame in two parts.
    Sent,
    /// A lease is with the kernel.
    Written,
    /// What was written is on the disk.
    OnDisk,
}

/// What the server does from a client's DHCPDISCOVER to its DHCPACK.
fn steps(durability: &str) -> Vec<Step> {
    let namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}[dhcp]\ndurability = '{durability}'\n"));
    server.start_traced("pwrite64,fdatasync,sendmsg");

    elsewhere(&namespace, || DhcpClient::new(MacAddr::new([0x52, 0x54, 0, 0, 0, 1])).address());

    let traced = || {
        let steps: Vec<_> = fs::read_to_string(server.path("trace"))?.lines().filter_map(step).collect();
        Ok((steps.iter().filter(|step| **step == Step::Sent).count() >= 2).then_some(steps))
    };
    until(LIMIT, traced).unwrap().expect("an offer and a confirmation in the trace")
}

/// What a line of strace's tells of; each begins with the number of the thread, and a call that another thread's interrupts has two.
fn step(line: &str) -> Option<Step> {
    let (_, call) = line.split_once(' ')?;
    let call = call.trim_start();
    if call.starts_with("sendmsg(") && call.contains("msg_iovlen=2") {
        return Some(Step::Sent);
    }
    if call.starts_with("pwrite64(") && call.contains("mac") {
        return Some(Step::Written);
    }
    let is_sync = call.starts_with("fdatasync(") || call.starts_with("<... fdatasync resumed>");
    (is_sync && call.ends_with("= 0")).then_some(Step::OnDisk)
}
