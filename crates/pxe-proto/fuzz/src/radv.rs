//! Router solicitations on a virtual clock.

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use pxe_proto::radv::{Config, Router};

use super::lab::{epoch, host6};
use super::steps::{Step, steps};

/// Each step is an ICMPv6 message behind its sender's address and hop limit; what happens says how much time passes before it.
pub fn run(input: &[u8]) {
    let mut now = epoch();
    let mut router = Router::new(config(), 7, now);
    let mut latest: Option<Instant> = None;
    for Step { what, bytes } in steps(input) {
        now += Duration::from_millis(u64::from(what) * 16);
        if router.handle_timeout(now).is_some() {
            // RFC 4861 §6.2.6, MIN_DELAY_BETWEEN_RAS.
            assert!(latest.is_none_or(|latest| now - latest >= Duration::from_secs(3)));
            latest = Some(now);
        }
        let Some(([hop_limit, sender @ ..], message)) = bytes.split_first_chunk::<17>() else { continue };
        let sender: [u8; 16] = *sender;
        let hop_limit = (*hop_limit != 0).then_some(*hop_limit);
        if let Err(ignored) = router.handle(message, Ipv6Addr::from(sender), hop_limit, now) {
            drop(ignored.to_string());
        }
    }
}

fn config() -> Config {
    Config {
        prefix: "fd77::1/64".parse().expect("a network"),
        autonomous: true,
        managed: true,
        router_lifetime: Duration::from_secs(1800),
        dns: vec![host6(1)],
        domain: Some("pvmlab.local".to_owned()),
        mtu: Some(1500),
    }
}
