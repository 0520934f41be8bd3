//! `cargo xtask bench footprint`: what it costs that every service is there: processes, memory and time to start, beside dnsmasq
//! and nginx.
//!
//! A machine asks for an address, a name, a file and a page, over and over from before the programs are started; the time is that of
//! the last of the four first answers, and memory is what the programs have then. They take turns at the same address. What single
//! parts of ours cost is measured as well ([`parts`]).

mod parts;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use lab_model::{Arch, MacAddr};
use lab_tests::{
    BRIDGE, Lab, SERVER, Service, Supplies,
    process::{Process, bound},
};

use self::parts::Part;
use super::{
    http::Nginx,
    processor::family,
    services::{self, CLIENT, FILE, NAME},
    site::Site,
    table::{self, Limit, Table},
};
use crate::{progress::Step, supplies};

/// Starts both `runs` times in turn.
///
/// # Errors
/// This process may not make a network, or a program does not answer.
pub(crate) fn measure(runs: u8, supplies: &Supplies) -> Result<Table> {
    let load = table::load();
    let lab = Lab::start(Service::Network, supplies)?;
    let mut definition = lab.target("bench".parse()?, Arch::X86_64, MAC, supplies::image());
    definition.ip = ADDRESS.to_owned();
    lab.define(&definition)?;
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join(FILE), lab.fetch(&format!("/boot/{FILE}"))?)?;
    let site = Site::new(lab.namespace().context("the lab has no network of its own")?, &[])?;

    let mut measured = [Vec::new(), Vec::new()];
    let mut memory = Part::ALL.map(|part| (part, Vec::new()));
    for run in 1..=runs {
        let mut step = Step::start(format!("run {run} of {runs}"));
        step.note(OURS);
        measured[0].push(start_ours(&lab, &site)?);
        step.note(PEERS);
        measured[1].push(start_peers(folder.path(), &site)?);
        for (part, memory) in &mut memory {
            step.note(part.name());
            memory.push(part.measure(supplies, &site)?);
        }
        step.finish();
    }

    let title = "DHCP, DNS, TFTP and HTTP for one machine".to_owned();
    let mut table = Table::new(title, vec![OURS, PEERS], load);
    let figures =
        |figure: fn(&Measured) -> f64| measured.iter().map(|runs| runs.iter().map(figure).collect()).collect();
    table.add("there", "processes", figures(|measured| measured.processes as f64), &[(None, Limit::AtMost(1.0))]);
    table.add(
        "memory when idle",
        "PSS MiB",
        figures(|measured| measured.memory),
        &[(Some(PEERS), Limit::AtMost(1.0)), (None, Limit::AtMost(MEMORY_MIB))],
    );
    table.add(
        "exec to answers",
        "ms",
        figures(|measured| measured.start.as_secs_f64() * 1e3),
        &[(Some(PEERS), Limit::AtMost(1.0)), (None, Limit::AtMost(START_MILLISECONDS))],
    );
    for (part, memory) in memory {
        table.add(part.name(), "PSS MiB", vec![memory, vec![]], &[]);
    }
    Ok(table)
}

const OURS: &str = "pxe-server";
const PEERS: &str = "dnsmasq+nginx";

const START_MILLISECONDS: f64 = 50.0;
const MEMORY_MIB: f64 = 12.0;

/// That of the machine that asks: an address that is reserved is offered without asking who has it.
const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, CLIENT]);
const ADDRESS: &str = "10.77.0.10";

/// What one start came to.
struct Measured {
    start: Duration,
    processes: usize,
    memory: f64,
}

impl Measured {
    /// Of programs that were started then, and of what they have started.
    fn new(started: Instant, answered: Instant, programs: &[u32]) -> Result<Self> {
        let processes = programs.iter().flat_map(|program| family(*program)).collect::<Vec<_>>();
        let memory = processes.iter().map(|process| proportional_set_size(*process)).sum::<Result<f64>>()?;
        Ok(Self { start: answered.saturating_duration_since(started), processes: processes.len(), memory })
    }
}

fn start_ours(lab: &Lab, site: &Site) -> Result<Measured> {
    lab.stop_server();
    let answered = site.begin(|| services::all_answered("/machines"))?;
    let started = lab.restart_server()?;
    let measured = Measured::new(started, answered.recv()??, &[lab.server_id().context("the server ended")?])?;
    lab.stop_server();
    Ok(measured)
}

fn start_peers(folder: &Path, site: &Site) -> Result<Measured> {
    let answered = site.begin(|| services::all_answered("/ipxe"))?;
    let started = Instant::now();
    let dnsmasq = Process::start("dnsmasq", bound("dnsmasq").args(dnsmasq(folder)))?;
    let nginx = Nginx::start(SERVER, folder, b"#!ipxe\n")?;
    Measured::new(started, answered.recv()??, &[dnsmasq.id(), nginx.master()?])
}

fn dnsmasq(folder: &Path) -> Vec<String> {
    let mut arguments = ["--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--group=", "--no-resolv"]
        .map(str::to_owned)
        .to_vec();
    arguments.extend(["--bind-interfaces", "--dhcp-authoritative", "--no-ping", "--enable-tftp"].map(str::to_owned));
    arguments.extend([
        format!("--interface={BRIDGE}"),
        format!("--host-record={NAME},{ADDRESS}"),
        "--dhcp-range=10.77.0.100,10.77.0.200,1h".to_owned(),
        format!("--dhcp-boot={FILE}"),
        format!("--tftp-root={}", folder.display()),
        format!("--dhcp-leasefile={}", folder.join("leases").display()),
        format!("--log-facility={}", folder.join("log").display()),
    ]);
    arguments
}

/// What a process costs, shared pages divided by who shares them (proc_pid_smaps(5)), in MiB.
pub(super) fn proportional_set_size(process: u32) -> Result<f64> {
    let file = format!("/proc/{process}/smaps_rollup");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss in smaps_rollup")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().context("Pss is no number")?;
    Ok(kib / 1024.0)
}
