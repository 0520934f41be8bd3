//! Who has which address, for people to read.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::SystemTime;

use clap::Args;
use jiff::Timestamp;
use lab_model::{MacAddr, MachineName};
use pxe_proto::dhcp::{Address, LeaseRecord, LeaseState, UnixSeconds};
use serde::Serialize;

use super::book::Book;
use crate::config::Config;

/// Who has which address.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only what has this address, this hardware address or this name; all where none is given.
    #[arg(value_name = "WHICH")]
    which: Vec<String>,
    /// A JSON object a line instead of a table; times are seconds since 1970.
    #[arg(long)]
    json: bool,
}

/// One lease, as JSON has it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Line<'a, A> {
    address: A,
    mac: MacAddr,
    machine: Option<String>,
    hostname: Option<&'a MachineName>,
    state: &'static str,
    granted: UnixSeconds,
    expires: UnixSeconds,
}

impl List {
    /// Prints the leases, IPv4 before IPv6, by address.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn run(&self, config: &Config) -> anyhow::Result<()> {
        let book = Book::read(config)?;
        let now = SystemTime::now().into();
        let mut text = String::new();
        if !self.json {
            row(&mut text, ["ADDRESS", "MAC", "NAME", "STATE", "UNTIL"]);
        }
        book.leases.leases().for_each(|lease| self.write(&book, lease, now, &mut text));
        book.all6().for_each(|lease| self.write(&book, lease, now, &mut text));
        print!("{text}");
        Ok(())
    }

    fn write<A: Address + Serialize>(&self, book: &Book, lease: &LeaseRecord<A>, now: UnixSeconds, text: &mut String) {
        let LeaseRecord { mac, address, granted, expires, .. } = *lease;
        let name = book.name(lease);
        let own = [address.to_string(), mac.to_string(), name.clone().unwrap_or_default()];
        let meant = |which: &String| own.iter().any(|own| own.eq_ignore_ascii_case(which));
        if !self.which.is_empty() && !self.which.iter().any(meant) {
            return;
        }
        let state = state(lease, now);
        if self.json {
            let (machine, hostname) = (book.machine(mac), lease.hostname.as_ref());
            let line = Line { address, mac, machine, hostname, state, granted, expires };
            text.push_str(&serde_json::to_string(&line).expect("a lease has a JSON form"));
            text.push('\n');
        } else {
            let until = i64::try_from(expires.0).ok().and_then(|at| Timestamp::from_second(at).ok());
            let until = until.map_or_else(|| "-".to_owned(), |until| until.to_string());
            row(text, [&own[0], &own[1], name.as_deref().unwrap_or("-"), state, &until]);
        }
    }
}

/// What has become of the address by now.
fn state<A>(lease: &LeaseRecord<A>, now: UnixSeconds) -> &'static str {
    match lease.state {
        LeaseState::Bound if lease.is_active(now) => "leased",
        LeaseState::Declined if lease.is_active(now) => "declined",
        LeaseState::Bound | LeaseState::Declined => "ended",
        LeaseState::Released => "released",
        LeaseState::Offered => "offered",
    }
}

/// Wide enough for an IPv4 address; the few that IPv6 has are wider.
const ADDRESS_WIDTH: usize = Ipv4Addr::BROADCAST.octets().len() * 4;

fn row(text: &mut String, [address, mac, name, state, until]: [&str; 5]) {
    writeln!(text, "{address:<ADDRESS_WIDTH$}  {mac:<17}  {name:<20}  {state:<8}  {until}").expect("a String takes it");
}
