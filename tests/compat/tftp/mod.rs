//! TFTP, beside atftpd, tftpd-hpa and dnsmasq.
//!
//! Deliberately not here: an empty file, which ours never has, and whole files of more than 65,535 blocks of 512 octets, which it
//! has as little; block numbers wrap in smaller blocks.

mod client;
mod differences;
mod exchanges;
mod subject;

use lab_tests::Namespace;

use client::Clients;
use differences::DIFFERENCES;
use exchanges::see_all;
use subject::{Files, Subject};

use crate::Seen;

#[test]
fn as_atftpd_but_for_what_is_listed() {
    compare(Subject::Atftpd);
}

#[test]
fn as_tftpd_hpa_but_for_what_is_listed() {
    compare(Subject::TftpdHpa);
}

#[test]
fn as_dnsmasq_but_for_what_is_listed() {
    compare(Subject::Dnsmasq);
}

/// What others serve is what ours has been seen to serve, so that all have the same.
fn compare(subject: Subject) {
    let (ours, files) = seen_of(Subject::PxeServer, &Files::default());
    let (theirs, _) = seen_of(subject, &files);
    crate::compare(&ours, (subject, &theirs), DIFFERENCES);
}

fn seen_of(subject: Subject, files: &Files) -> (Seen, Files) {
    let _namespace = Namespace::enter().unwrap();
    let mut clients = Clients::of(subject.start(files));
    let files = clients.read_all();
    (see_all(&mut clients, &files), files)
}
