//! `cargo xtask bench tftp`: how fast files leave by TFTP, beside atftpd, tftpd-hpa and dnsmasq.
//!
//! All four serve the same file on the same interface, each at an address of its own, and take turns at each load. Clients are
//! on a host of their own: one behind a way of 5 ms there and back, which shows whether windows are kept full, or a hundred
//! without any delay, which shows what a packet costs. What the way really takes is measured each time, as a relay in the bench
//! is never as punctual as a wire.

pub(crate) mod readers;
mod relay;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result};
use lab_tests::{BRIDGE, Lab, NEIGHBOUR, SERVER, Service, Supplies, TftpPeer, TftpPeers, network, process::run};

use self::{
    readers::{Arrived, BLOCK_SIZE, Load},
    relay::{Echo, Relay, round_trip},
};
use super::{
    processor::Watched,
    site::Site,
    table::{self, Limit, Table},
    unpacked,
};
use crate::progress::Step;

/// Reads from each server under each load, `runs` times in turn.
///
/// # Errors
/// This process may not make a network, or a server does not serve.
pub(crate) fn measure(runs: u8, supplies: &Supplies) -> Result<Table> {
    let load = table::load();
    let peers = TftpPeers::new(unpacked::tftp()?);
    let lab = Lab::start(Service::Network, supplies)?;
    let namespace = lab.namespace().context("the lab has no network of its own")?;
    let contents = lab.fetch(&format!("/boot/{FILE}"))?;
    let folder = TftpPeers::folder(FILE, &contents)?;
    let (mut servers, mut running) = (vec![Server::ours(&lab)?], Vec::new());
    for (name, last) in [(ATFTPD, 3), (TFTPD_HPA, 4), (DNSMASQ, 5)] {
        let address = Ipv4Addr::new(10, 77, 0, last);
        run("ip", &["address", "add", &format!("{address}/{}", network().prefix()), "dev", BRIDGE])?;
        let peer = peers.start(name, SocketAddr::from((address, 69)), folder.path())?;
        servers.push(Server::peer(&peer));
        running.push(peer);
    }
    let clients: Vec<_> = (100..200).map(|last| Ipv4Addr::new(10, 77, 0, last)).collect();
    let site = Site::new(namespace, &clients)?;

    let echo = Echo::start(SERVER)?;

    let mut loads = loads();
    for run in 1..=runs {
        let mut step = Step::start(format!("run {run} of {runs}"));
        for (kind, measured) in &mut loads {
            for (server, figures) in servers.iter().zip(measured) {
                step.note(&format!("{}, {}", kind.name(), server.name));
                figures.push(kind.measure(server, &echo, &clients, (contents.len() as u64, &site))?);
            }
        }
        step.finish();
    }
    Ok(report(&servers, &loads, load))
}

/// A boot program.
const FILE: &str = "ipxe-arm64.efi";

const ATFTPD: &str = "atftpd";
const TFTPD_HPA: &str = "tftpd-hpa";
const DNSMASQ: &str = "dnsmasq";

/// Who is measured.
struct Server {
    name: &'static str,
    address: SocketAddr,
    watched: Watched,
}

impl Server {
    fn ours(lab: &Lab) -> Result<Self> {
        let process = lab.server_id().context("the server ended")?;
        Ok(Self { name: "pxe-server", address: SocketAddr::from((SERVER, 69)), watched: Watched::new(process) })
    }

    fn peer(peer: &TftpPeer) -> Self {
        Self { name: peer.name, address: peer.address, watched: Watched::new(peer.process.id()) }
    }
}

/// What the servers have to do.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// One client behind the longer way.
    Far { window: u16 },
    /// This many clients next door.
    Near { clients: usize, window: u16 },
}

/// What one server made of it.
struct Measured {
    /// MiB/s.
    rate: f64,
    /// Processor's milliseconds for each MiB.
    cost: f64,
    /// What the longer way took just before.
    round_trip: Duration,
}

/// Every load, with room for the figures of the four servers.
fn loads() -> Vec<(Kind, [Vec<Measured>; 4])> {
    let far = [4, 16, 64].map(|window| Kind::Far { window });
    let near = [(1, 1), (100, 1), (100, 4), (100, 16)].map(|(clients, window)| Kind::Near { clients, window });
    far.into_iter().chain(near).map(|kind| (kind, Default::default())).collect()
}

impl Kind {
    fn name(self) -> String {
        match self {
            Self::Far { window } => format!("5 ms, window {window}"),
            Self::Near { clients: 1, window: 1 } => "1 client, lock-step".to_owned(),
            Self::Near { clients, window: 1 } => format!("{clients} clients, lock-step"),
            Self::Near { clients, window } => format!("{clients} clients, window {window}"),
        }
    }

    fn measure(
        self,
        server: &Server,
        echo: &Echo,
        clients: &[Ipv4Addr],
        (length, site): (u64, &Site),
    ) -> Result<Measured> {
        let echo = echo.address();
        let way = move |to| Relay::start(to, NEIGHBOUR, ROUND_TRIP / 2);
        let round_trip = match self {
            Self::Far { .. } => {
                site.run(move || round_trip(way(echo)?.address(), NEIGHBOUR, BLOCK_SIZE as usize))??
            }
            Self::Near { .. } => Duration::ZERO,
        };
        let load = Load {
            server: server.address,
            file: FILE,
            length,
            window: 1,
            clients: vec![],
            files_each: 1,
            limit: LIMIT,
        };
        let before = server.watched.time()?;
        let arrived = match self {
            Self::Far { window } => {
                let load = Load { window, clients: vec![NEIGHBOUR], limit: LIMIT_FAR, ..load };
                site.run(move || -> Result<Arrived> {
                    let relay = way(load.server)?;
                    readers::read(&Load { server: relay.address(), ..load })
                })?
            }
            Self::Near { clients: count, window } => {
                let (clients, files_each) = (clients[..count].to_vec(), FILES / count);
                let load = Load { window, clients, files_each, ..load };
                site.run(move || readers::read(&load))?
            }
        };
        let arrived = arrived.with_context(|| format!("{}: {}", server.name, self.name()))?;
        if arrived.resent > 0 {
            eprintln!("{}: {}: clients had to ask again {} times", server.name, self.name(), arrived.resent);
        }
        let taken = server.watched.time()?.saturating_sub(before).as_secs_f64();
        Ok(Measured {
            round_trip,
            rate: arrived.rate(),
            cost: taken * 1e3 / (arrived.bytes as f64 / f64::from(1 << 20)),
        })
    }
}

const ROUND_TRIP: Duration = Duration::from_millis(5);

/// How often the file is read without delay, by all clients together.
const FILES: usize = 200;

/// Lock-step on the longer way need not reach the file's end.
const LIMIT_FAR: Duration = Duration::from_millis(1200);
const LIMIT: Duration = Duration::from_secs(60);

fn report(servers: &[Server], loads: &[(Kind, [Vec<Measured>; 4])], load: f64) -> Table {
    let title = format!("A boot program by TFTP in blocks of {BLOCK_SIZE} bytes");
    let mut table = Table::new(title, servers.iter().map(|server| server.name).collect(), load);
    for (kind, measured) in loads {
        let of = |figure: &dyn Fn(&Measured) -> f64| -> Vec<Vec<f64>> {
            measured.iter().map(|runs| runs.iter().map(figure).collect()).collect()
        };
        match *kind {
            Kind::Far { window } => {
                let share = |measured: &Measured| {
                    let window = BLOCK_SIZE as f64 * f64::from(window) / f64::from(1 << 20);
                    measured.rate * measured.round_trip.as_secs_f64() / window * 100.0
                };
                let least = if window < 64 { 95.0 } else { 88.0 };
                let limits = [(None, Limit::AtLeast(least)), (Some(ATFTPD), Limit::AtLeast(EQUAL))];
                table.add(&kind.name(), "% of a full window", of(&share), &limits);
            }
            Kind::Near { window, .. } => {
                let (rate, cost): (Vec<_>, Vec<_>) = match window {
                    1 => ([ATFTPD, TFTPD_HPA].map(|peer| (Some(peer), Limit::AtLeast(1.0))).to_vec(), vec![]),
                    4 => (vec![(Some(ATFTPD), Limit::AtLeast(1.3))], vec![(Some(ATFTPD), Limit::AtMost(0.7))]),
                    _ => (vec![(Some(ATFTPD), Limit::AtLeast(1.8))], vec![(Some(ATFTPD), Limit::AtMost(0.45))]),
                };
                table.add(&kind.name(), "MiB/s", of(&|measured| measured.rate), &rate);
                table.add(&kind.name(), "CPU ms/MiB", of(&|measured| measured.cost), &cost);
            }
        }
    }
    table
}

/// Both fill the window where they can; runs differ by this much.
const EQUAL: f64 = 0.98;
