//! DHCP, beside dnsmasq, Kea and ISC's dhcpd.

mod client;
mod differences;
mod exchanges;
mod packet;
mod subject;

use lab_tests::Namespace;
use lab_tests::process::run;

use client::Clients;
use differences::DIFFERENCES;
use exchanges::see_all;
use subject::Subject;

use crate::Seen;

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
    crate::compare(&seen_of(Subject::PxeServer), (subject, &seen_of(subject)), DIFFERENCES);
}

fn seen_of(subject: Subject) -> Seen {
    let _namespace = Namespace::enter().unwrap();
    for far in ["10.78.0.0/24", "10.99.0.0/24"] {
        run("ip", &["route", "add", far, "dev", lab_tests::BRIDGE]).unwrap();
    }
    see_all(&mut Clients::of(subject.start()))
}
