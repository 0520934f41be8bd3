//! The same exchanges with our server and with those that everybody has, each in a network namespace of its own.
//!
//! What ours does is said where it is decided, in `pxe-proto`. Here it is that clients which work with the others work with ours:
//! where these do otherwise is a list, with the reason for each.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something unexpected happens")]

mod dhcp;
mod tftp;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::process::Command;

use lab_tests::Supplies;
use lab_tests::process::bound;

/// What was seen, by what was done.
type Seen = BTreeMap<&'static str, String>;

/// Something that other servers do differently.
#[derive(Debug)]
struct Difference<S: 'static> {
    /// Which servers.
    whose: &'static [S],
    /// In which exchange.
    exchange: &'static str,
    /// What they do instead.
    theirs: &'static str,
    /// Why ours does not; it is told where the test fails.
    #[expect(dead_code, reason = "it is read by people: here, and in what Debug prints")]
    why: &'static str,
}

/// Panics where the two do not differ as listed.
fn compare<S: Debug + PartialEq>(ours: &Seen, (subject, theirs): (S, &Seen), differences: &[Difference<S>]) {
    let listed = differences.iter().filter(|difference| difference.whose.contains(&subject));
    let mut listed: BTreeMap<_, _> = listed.map(|difference| (difference.exchange, difference)).collect();
    let mut wrong = Vec::new();
    for exchange in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
        let said = |seen: &Seen| seen.get(exchange).cloned().unwrap_or_else(|| "not seen".to_owned());
        let (ours, theirs) = (said(ours), said(theirs));
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

/// Ours, with this configuration and one machine.
fn pxe_server(folder: &Path, configuration: &str) -> Command {
    fs::create_dir_all(folder.join("vms")).unwrap();
    fs::write(folder.join("vms/web.toml"), WEB).unwrap();
    fs::write(folder.join("config.toml"), configuration).unwrap();
    let mut command = bound(Supplies::from_environment().unwrap().server);
    command.args(["serve", "--config"]).arg(folder.join("config.toml"));
    command
}

const WEB: &str = "name = 'web'\narch = 'x86_64'\nmac = '52:54:00:00:00:01'\nip = '10.77.0.50'\npxeboot = true\n\
                   distro = 'debian-12'\n";
