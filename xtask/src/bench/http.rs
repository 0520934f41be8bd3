//! `cargo xtask bench http`: image files and boot scripts by HTTP, beside nginx with two workers.
//!
//! Both serve the same bytes on the same interface, each at an address of its own, and take turns. A script is the server's own
//! answer for one of ten and of ten thousand machines, told to its journal as a boot is; for nginx it is a file of that text.

pub(crate) mod image;
mod nginx;
pub(crate) mod visitors;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result};
use lab_model::{Arch, Definition, MacAddr};
use lab_tests::{BRIDGE, Lab, SERVER, Service, Supplies, network, process::run};

pub(crate) use self::nginx::Nginx;
use self::{
    image::Image,
    visitors::{Answers, Visit},
};
use super::{
    processor::Watched,
    site::Site,
    table::{self, Limit, Table},
};
use crate::progress::Step;

/// Asks both servers for everything, `runs` times in turn.
///
/// # Errors
/// This process may not make a network, or a server does not serve.
pub(crate) fn measure(runs: u8, supplies: &Supplies) -> Result<Table> {
    let load = table::load();
    let image = Image::new(STREAM_BYTES)?;
    let supplies = Supplies { images: image.folder().to_owned(), ..supplies.clone() };
    let lab = Lab::start(Service::Network, &supplies)?;
    let namespace = lab.namespace().context("the lab has no network of its own")?;
    lab.define_all(&machines(&lab, 0..FEW)?)?;
    let script = lab.fetch(&script_path(0))?;
    run("ip", &["address", "add", &format!("{PEER}/{}", network().prefix()), "dev", BRIDGE])?;
    let nginx = Nginx::start(PEER, image.folder(), &script)?;
    let site = Site::new(namespace, &(0..VISITORS).map(address).collect::<Vec<_>>())?;
    let servers = [
        Server {
            name: "pxe-server",
            address: SERVER,
            watched: Watched::new(lab.server_id().context("the server ended")?),
        },
        Server { name: NGINX, address: PEER, watched: Watched::new(nginx.id()) },
    ];

    let turns = Turns { runs, servers: &servers, site: &site };
    let scripts = |machines: usize| (0..VISITORS).map(|visitor| script_path(visitor % machines)).collect::<Vec<_>>();
    let streams = turns.measure(STREAMS, &vec![image.path(); VISITORS], 1)?;
    let few = turns.measure(SCRIPTS_OF_FEW, &scripts(FEW), SCRIPTS_EACH)?;
    lab.define_all(&machines(&lab, FEW..MANY)?)?;
    let many = turns.measure(SCRIPTS_OF_MANY, &scripts(MANY), SCRIPTS_EACH)?;

    let names = servers.iter().map(|server| server.name).collect();
    let mut table = Table::new("Images and boot scripts by HTTP, 50 connections".to_owned(), names, load);
    let figures = |measured: &[Vec<Measured>; 2], figure: fn(&Measured) -> f64| {
        measured.iter().map(|runs| runs.iter().map(figure).collect()).collect()
    };
    let of_nginx = |limit| [(Some(NGINX), limit)];
    table.add(STREAMS, "MiB/s", figures(&streams, Measured::mib_a_second), &of_nginx(Limit::AtLeast(0.95)));
    table.add(STREAMS, "CPU ms/GiB", figures(&streams, Measured::cost_of_a_gib), &of_nginx(Limit::AtMost(1.1)));
    for (name, measured) in [(SCRIPTS_OF_FEW, few), (SCRIPTS_OF_MANY, many)] {
        table.add(name, "1/s", figures(&measured, Measured::answers_a_second), &of_nginx(Limit::AtLeast(1.3)));
        table.add(name, "CPU µs each", figures(&measured, Measured::cost_of_an_answer), &[]);
    }
    Ok(table)
}

const NGINX: &str = "nginx";
const PEER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 3);

const STREAMS: &str = "50 streams of 50 MiB";
const SCRIPTS_OF_FEW: &str = "boot scripts, 10 machines";
const SCRIPTS_OF_MANY: &str = "boot scripts, 10,000 machines";

const STREAM_BYTES: usize = 50 << 20;
const VISITORS: usize = 50;
const SCRIPTS_EACH: usize = 400;
const FEW: usize = 10;
const MANY: usize = 10_000;

/// Who is measured.
struct Server {
    name: &'static str,
    address: Ipv4Addr,
    watched: Watched,
}

/// What one server made of a load.
struct Measured {
    answers: Answers,
    processor: Duration,
}

impl Measured {
    fn mib_a_second(&self) -> f64 {
        self.answers.bytes as f64 / f64::from(1 << 20) / self.answers.elapsed.as_secs_f64()
    }

    fn answers_a_second(&self) -> f64 {
        self.answers.count as f64 / self.answers.elapsed.as_secs_f64()
    }

    fn cost_of_a_gib(&self) -> f64 {
        self.processor.as_secs_f64() * 1e3 / (self.answers.bytes as f64 / f64::from(1 << 30))
    }

    fn cost_of_an_answer(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.answers.count as f64
    }
}

/// Both servers, which take turns.
struct Turns<'a> {
    runs: u8,
    servers: &'a [Server; 2],
    site: &'a Site,
}

impl Turns<'_> {
    /// Every visitor asks for its path this often.
    fn measure(&self, name: &str, paths: &[String], each: usize) -> Result<[Vec<Measured>; 2]> {
        let visits = paths.iter().enumerate();
        let visits =
            visits.map(|(visitor, path)| Visit { from: address(visitor), path: path.clone() }).collect::<Vec<_>>();
        let mut measured = [Vec::new(), Vec::new()];
        for run in 1..=self.runs {
            let mut step = Step::start(format!("{name}: run {run} of {}", self.runs));
            for (server, figures) in self.servers.iter().zip(&mut measured) {
                step.note(server.name);
                let (to, visits) = (SocketAddr::from((server.address, 80)), visits.clone());
                let before = server.watched.time()?;
                let answers = self.site.run(move || visitors::ask(to, &visits, each))?;
                let answers = answers.with_context(|| format!("{}: {name}", server.name))?;
                figures.push(Measured { answers, processor: server.watched.time()?.saturating_sub(before) });
            }
            step.finish();
        }
        Ok(measured)
    }
}

/// Visitors are machines: each has the address that its definition reserves.
fn address(visitor: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, 100 + u8::try_from(visitor).expect("there are fifty"))
}

fn mac(machine: usize) -> MacAddr {
    let [.., high, low] = (machine as u32).to_be_bytes();
    MacAddr::new([0x52, 0x54, 0, 0x78, high, low])
}

fn script_path(machine: usize) -> String {
    format!("/ipxe?mac={}&arch=x86_64", mac(machine))
}

fn machines(lab: &Lab, numbers: std::ops::Range<usize>) -> Result<Vec<Definition>> {
    let definition = |number| -> Result<Definition> {
        let name = format!("bench-{number:05}").parse()?;
        let mut definition = lab.target(name, Arch::X86_64, mac(number), image::NAME.parse()?);
        if number < VISITORS {
            definition.ip = address(number).to_string();
        }
        Ok(definition)
    };
    numbers.map(definition).collect()
}
