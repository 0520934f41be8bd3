//! `cargo xtask bench leases`: what a start costs that finds a hundred thousand leases, and how long they take to come from Kea.
//!
//! A start without a lease and one with them take turns, on the same bridge; a start ends with the first offer.

use std::{
    fmt::Write as _,
    fs::{self, File},
    net::Ipv4Addr,
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use lab_tests::{
    BRIDGE, Namespace, SERVER, Supplies,
    process::{Process, bound, run},
};

use super::{
    dhcp::clients,
    footprint::proportional_set_size,
    site::Site,
    table::{self, Limit, Table},
};
use crate::{progress::Step, workspace};

/// Starts the server `runs` times without a lease and with all.
///
/// # Errors
/// This process may not make a network, or the server does not answer.
pub(crate) fn measure(runs: u8, supplies: &Supplies) -> Result<Table> {
    let load = table::load();
    let namespace = Namespace::enter()?;
    run("ip", &["address", "flush", "dev", BRIDGE])?;
    run("ip", &["address", "add", &format!("{SERVER}/{PREFIX}"), "dev", BRIDGE])?;
    let site = Site::new(&namespace, &[])?;

    let mut measured = [Vec::new(), Vec::new()];
    for run in 1..=runs {
        let mut step = Step::start(format!("run {run} of {runs}"));
        for (leases, started) in [0, LEASES].into_iter().zip(&mut measured) {
            step.note(&format!("{leases} leases"));
            started.push(Started::measure(leases, supplies, &site)?);
        }
        step.finish();
    }

    let mut table = Table::new("A start of pxe-server".to_owned(), vec!["with 100,000 leases", "without"], load);
    measured.reverse();
    let figures = |figure: fn(&Started) -> f64| measured.iter().map(|runs| runs.iter().map(figure).collect()).collect();
    table.add(
        "exec to the first offer",
        "ms",
        figures(|started| started.start.as_secs_f64() * 1e3),
        &[(None, Limit::AtMost(START_MILLISECONDS))],
    );
    table.add("memory", "PSS MiB", figures(|started| started.memory), &[]);
    table.add("import from Kea", "ms", figures(|started| started.import.as_secs_f64() * 1e3), &[]);
    Ok(table)
}

const LEASES: u32 = 100_000;
const START_MILLISECONDS: f64 = 1000.0;

/// Room for all of them.
const PREFIX: u8 = 15;
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 76, 0, 16);
const LAST: Ipv4Addr = Ipv4Addr::new(10, 77, 255, 250);

const LIMIT: Duration = Duration::from_secs(60);

/// What one start came to.
struct Started {
    import: Duration,
    start: Duration,
    memory: f64,
}

impl Started {
    fn measure(leases: u32, supplies: &Supplies, site: &Site) -> Result<Self> {
        // Not where the system keeps temporary files: that may be memory.
        let target = workspace().join("target");
        let folder = tempfile::Builder::new().prefix("bench-leases-").tempdir_in(target)?;
        let config = folder.path().join("config.toml");
        fs::create_dir_all(folder.path().join("state/vms"))?;
        fs::write(
            &config,
            format!(
                "state = 'state'\n[lab]\ninterface = '{BRIDGE}'\n[dhcp]\nprobe-milliseconds = 0\npool = '{FIRST}-{LAST}'\n"
            ),
        )?;

        let begun = Instant::now();
        if leases > 0 {
            let file = folder.path().join("kea-leases4.csv");
            fs::write(&file, kea(leases)?)?;
            let mut import = Command::new(&supplies.server);
            let output = import.args(["leases", "import"]).arg(file).arg("--config").arg(&config).output()?;
            let said = String::from_utf8_lossy(&output.stdout);
            ensure!(said.starts_with(&format!("imported {leases} ")), "the import failed: {said}{output:?}");
        }
        let import = begun.elapsed();

        let log = folder.path().join("log");
        let mut command = bound(&supplies.server);
        command.args(["serve", "--config"]).arg(config).stderr(File::create(&log)?);
        let offered = site.begin(|| clients::wait_for_offer(LIMIT).map(|()| Instant::now()))?;
        let begun = Instant::now();
        let server = Process::start("pxe-server", &mut command)?;
        let offered = offered.recv()?;
        let offered = offered.with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(Self { import, start: offered - begun, memory: proportional_set_size(server.id())? })
    }
}

/// Kea's file, a line for each client.
fn kea(leases: u32) -> Result<String> {
    let expires = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + 3600;
    let mut text =
        "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state\n".to_owned();
    let addresses = (FIRST.to_bits()..).map(Ipv4Addr::from_bits).filter(|address| *address != SERVER);
    for (client, address) in (0..leases).zip(addresses) {
        let [a, b, c, d] = client.to_be_bytes();
        let mac = format_args!("52:54:{a:02x}:{b:02x}:{c:02x}:{d:02x}");
        writeln!(text, "{address},{mac},,3600,{expires},1,0,0,client{client},0")?;
    }
    Ok(text)
}
