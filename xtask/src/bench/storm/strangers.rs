//! Machines that nobody has described, all at once, whose addresses the server asks for by ARP before it offers them: nobody waits
//! for another's probe, and a machine that is described waits for none.

use std::{
    fs::{self, File},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use lab_model::Definition;
use lab_tests::{
    BRIDGE, Supplies,
    process::{Process, bound},
};

use super::{
    super::{
        dhcp::clients::{self, Load, Pace, Served},
        site::Site,
    },
    LIMIT, MACHINES,
};

/// How long they waited, as parts of what a single stranger waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strangers {
    /// The last of a hundred.
    pub(super) last: f64,
    /// The machine that is described, among them.
    pub(super) described: f64,
}

impl Strangers {
    /// Has one stranger ask, then a hundred together with the machine of `definition`, which the clients begin with.
    ///
    /// # Errors
    /// Somebody gets no address.
    pub(super) fn measure(definition: &Definition, supplies: &Supplies, site: &Site) -> Result<Self> {
        let one = ask(1, None, supplies, site)?.elapsed;
        let all = ask(MACHINES + 1, Some(definition), supplies, site)?;
        // Answers are in the order in which they came, and whoever waits for no probe has the first.
        let described = all.latencies.first().context("nobody has an address")?;
        let of_one = |time: Duration| time.as_secs_f64() / one.as_secs_f64();
        Ok(Self { last: of_one(all.elapsed), described: of_one(*described) })
    }
}

/// Starts a server that knows of no lease, and has this many ask it at once.
fn ask(clients: usize, definition: Option<&Definition>, supplies: &Supplies, site: &Site) -> Result<Served> {
    let folder = tempfile::tempdir()?;
    let server = start(folder.path(), definition, supplies)?;
    let count = u32::try_from(clients)?;
    let load = Load { clients: count, exchanges: count, pace: Pace::Outstanding(clients), limit: LIMIT };
    let served = site.run(move || clients::wait_for_offer(LIMIT).and_then(|()| clients::ask(&load)))?;
    let served = served.with_context(|| fs::read_to_string(folder.path().join("log")).unwrap_or_default())?;
    drop(server);
    ensure!(served.latencies.len() == clients, "only {} of {clients} have an address", served.latencies.len());
    Ok(served)
}

fn start(folder: &Path, definition: Option<&Definition>, supplies: &Supplies) -> Result<Process> {
    let (definitions, config) = (folder.join("state/vms"), folder.join("config.toml"));
    fs::create_dir_all(&definitions)?;
    if let Some(definition) = definition {
        fs::write(definitions.join(format!("{}.json", definition.name)), serde_json::to_string(definition)?)?;
    }
    let images = supplies.images.display();
    fs::write(
        &config,
        format!("state = 'state'\nimages = '{images}'\n[lab]\ninterface = '{BRIDGE}'\n[dhcp]\npool = '{POOL}'\n"),
    )?;
    let mut command = bound(&supplies.server);
    command.args(["serve", "--config"]).arg(config).stderr(File::create(folder.join("log"))?);
    Process::start("pxe-server", &mut command)
}

/// Room for all, without the clients' host.
const POOL: &str = "10.77.0.3-10.77.0.240";
