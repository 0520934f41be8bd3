//! Clocks that jump and servers that crash.

use std::time::Duration;

use pxe_proto::dhcp::Ignored;

use crate::lan::{LEASE, Lan, config, host, machines};
use crate::packet::{DISCOVER, Packet, RELEASE, mac};

#[test]
fn leases_outlive_a_crash() {
    let mut lan = Lan::new(config(), machines(&[]));
    let given: Vec<_> = (1..=3).map(|number| lan.boot(number)).collect();

    lan.restart(machines(&[]));

    assert!(!given.contains(&lan.boot(4)));
    assert_eq!((1..=3).map(|number| lan.boot(number)).collect::<Vec<_>>(), given);
}

#[test]
fn a_snapshot_restores_what_the_journal_does() {
    let mut lan = Lan::new(config(), machines(&[(1, Some(host(10)))]));
    for number in 1..=3 {
        lan.boot(number);
    }
    let address = lan.boot(2);
    lan.change(&Packet::new(RELEASE, mac(2)).client_address(address));
    let snapshot: Vec<_> = lan.engine.leases().cloned().collect();

    lan.restart(machines(&[(1, Some(host(10)))]));
    assert_eq!(lan.engine.leases().cloned().collect::<Vec<_>>(), snapshot);
    lan.journal = snapshot.clone();
    lan.restart(machines(&[(1, Some(host(10)))]));
    assert_eq!(lan.engine.leases().cloned().collect::<Vec<_>>(), snapshot);
}

#[test]
fn what_the_network_has_no_place_for_any_more_is_dropped() {
    let mut lan = Lan::new(config(), machines(&[]));
    lan.boot(1);

    lan.config.lab.network = "192.168.4.1/22".parse().expect("a network");
    lan.restart(machines(&[]));

    assert_eq!(lan.engine.leases().count(), 0);
}

#[test]
fn a_clock_that_is_set_back_makes_no_lease_last_longer_than_a_lease() {
    for restarted in [false, true] {
        let mut lan = Lan::new(config(), machines(&[]));
        for number in 1..=4 {
            lan.boot(number);
        }

        lan.now -= Duration::from_secs(86_400 * 365);
        if restarted {
            lan.restart(machines(&[]));
        }

        assert_eq!(lan.ignored(&Packet::new(DISCOVER, mac(5))), Ignored::PoolExhausted(mac(5)));
        lan.wait(LEASE + Duration::from_secs(1));
        lan.boot(5);
    }
}

#[test]
fn a_clock_before_1970_is_no_reason_to_fail() {
    let mut lan = Lan::new(config(), machines(&[]));
    lan.now = std::time::UNIX_EPOCH - Duration::from_secs(1000);

    assert_eq!(lan.boot(1), lan.boot(1));
}
