//! The same DHCP exchanges with our server, dnsmasq, Kea and ISC's dhcpd, each in a network namespace of its own.
//!
//! What ours does is said where it is decided, in `pxe-proto`. Here it is that clients which work with the servers that everybody
//! has work with ours: where these do otherwise is a list, with the reason for each.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something unexpected happens")]

mod client;
mod differences;
mod exchanges;
mod packet;
mod subject;

use std::collections::{BTreeMap, BTreeSet};

use lab_tests::Namespace;
use lab_tests::process::run;

use client::Clients;
use differences::DIFFERENCES;
use exchanges::{Seen, see_all};
use subject::Subject;

#[test]
fn as_dnsmasq_but_for_what_is_listed() {
    compare(Subject::Dnsmasq);
}

#[test]
fn as_kea_but_for_what_is_listed() {
    compare(Subject::Kea);
}

#[test]
fn as_dhcpd_but_for_what_is_listed() {
    compare(Subject::Dhcpd);
}

fn compare(subject: Subject) {
    let (ours, theirs) = (seen_of(Subject::PxeServer), seen_of(subject));
    let listed = DIFFERENCES.iter().filter(|difference| difference.whose.contains(&subject));
    let mut listed: BTreeMap<_, _> = listed.map(|difference| (difference.exchange, difference)).collect();
    let mut wrong = Vec::new();
    for exchange in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
        let said = |seen: &Seen| seen.get(exchange).cloned().unwrap_or_else(|| "not seen".to_owned());
        let (ours, theirs) = (said(&ours), said(&theirs));
        match listed.remove(exchange) {
            None if ours == theirs => {}
            None => wrong.push(format!("{exchange}: theirs `{theirs}`, ours `{ours}`: no such difference is listed")),
            Some(difference) if difference.theirs == theirs && theirs != ours => {}
            Some(difference) => {
                wrong.push(format!("{exchange}: theirs `{theirs}`, ours `{ours}`: not as {difference:?}"))
            }
        }
    }
    wrong.extend(listed.into_values().map(|difference| format!("there is no such exchange: {difference:?}")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn seen_of(subject: Subject) -> Seen {
    let _namespace = Namespace::enter().unwrap();
    for far in ["10.78.0.0/24", "10.99.0.0/24"] {
        run("ip", &["route", "add", far, "dev", lab_tests::BRIDGE]).unwrap();
    }
    see_all(&mut Clients::of(subject.start()))
}
