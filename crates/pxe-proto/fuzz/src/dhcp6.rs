//! DHCP for IPv6: datagrams on a virtual clock.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use pxe_proto::dhcp::LeaseRecord;
use pxe_proto::dhcp6::{Action, Config, Engine, Request};

use super::lab::{host6, inventory};
use super::steps::{Step, steps};

/// Each step is a datagram behind its sender's address; what happens says the same as for IPv4.
pub fn run(input: &[u8]) {
    let Some((first, input)) = input.split_first() else { return };
    let config = config(first & 1 == 1);
    let mut engine = Engine::new(config.clone(), inventory());
    let mut now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let mut journal: Vec<LeaseRecord<Ipv6Addr>> = Vec::new();
    for Step { what, bytes } in steps(input) {
        let Some((sender, datagram)) = bytes.split_first_chunk::<16>() else { continue };
        now += Duration::from_secs((1 << (what & 0x0f)) - 1);
        if what & 0x10 != 0 {
            engine.set_inventory(if what & 0x20 != 0 { Arc::default() } else { inventory() });
        }
        if what & 0x40 != 0 {
            engine = Engine::new(config.clone(), inventory());
            journal.iter().for_each(|lease| engine.restore(lease.clone()));
        }
        let Ok(request) = Request::parse(datagram, Ipv6Addr::from(*sender)) else { continue };
        match engine.handle(&request, now) {
            Action::Reply(reply) => {
                check(&reply.message, datagram.len());
                journal.extend(reply.commit);
            }
            Action::Ignore(reason) => drop(reason.to_string()),
        }
        let leases: Vec<_> = engine.leases().collect();
        let addresses: BTreeSet<_> = leases.iter().map(|lease| lease.address).collect();
        assert_eq!(addresses.len(), leases.len(), "{leases:?}");
        assert!(leases.len() <= 4 + 3, "{leases:?}");
    }
}

/// Options lie inside one another, and an answer is not much longer than its question.
fn check(message: &[u8], asked: usize) {
    assert!(message.len() <= asked + 1500, "{} bytes for {asked}", message.len());
    let header = if matches!(message[0], 12 | 13) { 34 } else { 4 };
    let mut options = &message[header..];
    while let [_, _, high, low, rest @ ..] = options {
        options = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..).expect("an option lies inside");
    }
    assert!(options.is_empty(), "{options:?} is left over");
}

fn config(authoritative: bool) -> Config {
    Config {
        server: "fd77::1/64".parse().expect("a network"),
        duid: vec![0, 4, 0xee, 0xee],
        pool: Some(host6(0x100)..=host6(0x103)),
        lease: Duration::from_secs(3600),
        offer_hold: Duration::from_secs(60),
        decline_hold: Duration::from_secs(600),
        dns: vec![host6(1)],
        domain: Some("pvmlab.local".to_owned()),
        names: true,
        authoritative,
        base: "http://[fd77::1]".parse().expect("a URL"),
    }
}
