//! `cargo xtask bench dhcp`: addresses a second, what one costs, and how long a machine waits, beside Kea, ISC dhcpd and dnsmasq.
//!
//! Each server is started anew for each load, without a lease, on the same wire, and they take turns. Clients are on a host of
//! their own, and say what a PXE firmware says; the four messages from DISCOVER to ACK are one exchange. In their turn the clients
//! ask a server that costs next to nothing, which shows how far they are from being what is measured.

mod alone;
pub(crate) mod clients;
mod frame;
mod link;
pub(crate) mod message;
pub(crate) mod servers;
mod yes;

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context as _, Result};
use lab_tests::{BRIDGE, Namespace, SERVER, Supplies, process::run};

pub(crate) use self::servers::Peers;
use self::{
    alone::Alone,
    clients::{Load, Pace, Served},
    servers::{Leases, Lot, PREFIX, Server},
};
use super::{
    report::median,
    site::Site,
    table::{self, Limit, Table},
};
use crate::progress::Step;

/// Has each server answer each load, `runs` times in turn.
///
/// # Errors
/// This process may not make a network, or a server does not answer.
pub(crate) fn measure(runs: u8, supplies: &Supplies) -> Result<Table> {
    let load = table::load();
    let peers = Peers::fetch()?;
    let namespace = Namespace::enter()?;
    let site = Site::new(&namespace, &[])?;
    lead_straight_to_the_clients()?;

    let mut alone = Vec::new();
    let mut measured = KINDS.map(|kind| (kind, Server::ALL.map(|_| Vec::new())));
    for run in 1..=runs {
        let mut step = Step::start(format!("run {run} of {runs}"));
        step.note("the clients alone");
        alone.push(Alone::measure(BUSY, &site)?);
        for (kind, columns) in &mut measured {
            for (server, figures) in Server::ALL.into_iter().zip(columns) {
                if kind.is_for(server) {
                    step.note(&format!("{}, {}", kind.name(), server.name()));
                    figures.push(kind.measure(server, &peers, supplies, &site)?);
                }
            }
        }
        step.finish();
    }
    Ok(report(&measured, &alone, load))
}

/// Puts the clients' wire in the bridge's place: what a bridge takes for each packet is more than some of what is measured.
fn lead_straight_to_the_clients() -> Result<()> {
    let wires = run("ip", &["-brief", "link", "show", "master", BRIDGE])?;
    let wire = wires.split(['@', ' ']).next().context("no wire leads to the clients")?;
    run("ip", &["link", "delete", BRIDGE])?;
    run("ip", &["link", "set", wire, "down"])?;
    run("ip", &["link", "set", wire, "name", BRIDGE, "up"])?;
    run("ip", &["address", "add", &format!("{SERVER}/{PREFIX}"), "dev", BRIDGE])?;
    Ok(())
}

/// What the servers have to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The same clients again and again.
    Busy,
    /// Clients that were never there, whose leases must be on disk.
    New,
    /// A few at a time, who have consecutive hardware addresses.
    Few,
    /// One after the other.
    Calm,
    /// As many as a large network has.
    Many,
}

const KINDS: [Kind; 5] = [Kind::Busy, Kind::New, Kind::Few, Kind::Calm, Kind::Many];

/// What one server made of it.
struct Measured {
    served: Served,
    processor: Duration,
}

const BUSY: Load =
    Load { clients: 2_000, exchanges: 20_000, pace: Pace::Outstanding(32), limit: Duration::from_secs(4) };

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Busy => "2,000 clients, leases written",
            Self::New => "2,000 new clients, leases on disk",
            Self::Few => "2,000 new clients, 16 at once",
            Self::Calm => "200 a second",
            Self::Many => "30,000 new clients, leases written",
        }
    }

    /// The others take minutes for as many.
    fn is_for(self, server: Server) -> bool {
        self != Self::Many || matches!(server, Server::Ours | Server::Kea)
    }

    fn lot(self) -> Lot<'static> {
        let last = if self == Self::Many { Ipv4Addr::new(10, 77, 127, 250) } else { Ipv4Addr::new(10, 77, 15, 255) };
        let leases = if self == Self::New { Leases::OnDisk } else { Leases::Written };
        Lot { pool: [Ipv4Addr::new(10, 77, 8, 0), last], leases, files: None }
    }

    fn load(self) -> Load {
        match self {
            Self::Busy => BUSY,
            Self::New => Load { exchanges: 2_000, limit: Duration::from_secs(8), ..BUSY },
            Self::Few => Load { exchanges: 2_000, pace: Pace::Outstanding(16), ..BUSY },
            Self::Calm => Load { exchanges: 400, pace: Pace::Every(Duration::from_millis(5)), ..BUSY },
            Self::Many => Load { clients: 30_000, exchanges: 30_000, limit: Duration::from_secs(15), ..BUSY },
        }
    }

    fn measure(self, server: Server, peers: &Peers, supplies: &Supplies, site: &Site) -> Result<Measured> {
        let running = peers.start(server, &self.lot(), supplies, site)?;
        let before = running.watched.time()?;
        let load = self.load();
        let served = site.run(move || clients::ask(&load))?;
        let served = served.with_context(|| format!("{}: {}", server.name(), self.name()))?;
        Ok(Measured { served, processor: running.watched.time()?.saturating_sub(before) })
    }
}

impl Measured {
    fn rate(&self) -> f64 {
        self.served.rate()
    }

    fn cost(&self) -> f64 {
        microseconds(self.processor) / self.served.latencies.len() as f64
    }

    /// How much of one processor the clients took.
    fn clients(&self) -> f64 {
        self.served.processor.as_secs_f64() / self.served.elapsed.as_secs_f64()
    }

    /// The latency that this share of clients has at most, in milliseconds.
    fn latency(&self, share: f64) -> f64 {
        let mut sorted = self.served.latencies.clone();
        sorted.sort();
        let place = (sorted.len() as f64 * share) as usize;
        sorted.get(place.min(sorted.len() - 1)).map_or(f64::NAN, Duration::as_secs_f64) * 1e3
    }
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn report(measured: &[(Kind, [Vec<Measured>; 4])], alone: &[Alone], load: f64) -> Table {
    let of_alone = |figure: fn(&Alone) -> f64| median(&alone.iter().map(figure).collect::<Vec<_>>());
    let (most, own) = (of_alone(|alone| alone.rate), of_alone(|alone| microseconds(alone.cost)));
    let title = format!(
        "Addresses by DHCP, 32 clients at once; {most:.0}/s if a server cost nothing (CPU µs each: clients {own:.1}, server {:.1})",
        of_alone(|alone| microseconds(alone.server))
    );
    let mut table = Table::new(title, Server::ALL.map(Server::name).to_vec(), load);
    let of = |kind: Kind, figure: &dyn Fn(&Measured) -> f64| -> Vec<Vec<f64>> {
        let (_, columns) = measured.iter().find(|(measured, _)| *measured == kind).expect("every kind is measured");
        columns.iter().map(|runs| runs.iter().map(figure).collect()).collect()
    };
    let at_least = |peer: Server, limit| (Some(peer.name()), Limit::AtLeast(limit));
    let at_most = |peer: Server, limit| (Some(peer.name()), Limit::AtMost(limit));

    let name = Kind::Busy.name();
    table.add(name, "1/s", of(Kind::Busy, &Measured::rate), &[at_least(Server::Kea, 3.0), at_least(Server::Isc, 3.0)]);
    table.add(name, "CPU µs each", of(Kind::Busy, &Measured::cost), &[at_most(Server::Kea, 0.33)]);
    table.add(name, "clients' CPU share", of(Kind::Busy, &Measured::clients), &[]);
    let name = Kind::New.name();
    let limits = [at_least(Server::Isc, 5.0), at_least(Server::Dnsmasq, 10.0), at_least(Server::Kea, 0.7)];
    table.add(name, "1/s", of(Kind::New, &Measured::rate), &limits);
    table.add(name, "CPU µs each", of(Kind::New, &Measured::cost), &[]);
    let name = Kind::Calm.name();
    table.add(name, "p50 ms", of(Kind::Calm, &|measured| measured.latency(0.5)), &[at_most(Server::Kea, 0.7)]);
    table.add(name, "p99 ms", of(Kind::Calm, &|measured| measured.latency(0.99)), &[]);
    let many = of(Kind::Many, &Measured::rate);
    let share = median(&many[0]) / median(&of(Kind::Busy, &Measured::rate)[0]);
    table.add(Kind::Many.name(), "1/s", many, &[]);
    table.add(
        Kind::Many.name(),
        "of 2,000's",
        vec![vec![share], vec![], vec![], vec![]],
        &[(None, Limit::AtLeast(0.9))],
    );

    // So that the clients are not what is measured.
    let kea = |figure: &dyn Fn(&Measured) -> f64| median(&of(Kind::Busy, figure)[1]);
    let mut ahead = |unit, value, limit| {
        table.add("the clients alone", unit, vec![vec![value], vec![], vec![], vec![]], &[(None, limit)]);
    };
    ahead("of Kea's rate", most / kea(&Measured::rate), Limit::AtLeast(10.0));
    ahead("of Kea's CPU", own / kea(&Measured::cost), Limit::AtMost(0.1));
    // Any one of them would be one too many, so these are sums and no medians.
    let mut count = |name: &str, figure: fn(&Served) -> u32| {
        let of = |kind| of(kind, &|measured| figure(&measured.served).into());
        let loads = of(Kind::Few).into_iter().zip(of(Kind::Busy)).zip(of(Kind::New));
        let sums = loads.map(|((few, busy), new)| vec![[few, busy, new].iter().flatten().sum()]);
        table.add(name, "16 or 32 at once", sums.collect(), &[(None, Limit::AtMost(0.0))]);
    };
    count("unanswered", |served| served.unanswered);
    count("refused after the offer", |served| served.refused);
    count("addresses given twice", |served| served.duplicates);
    table
}
