//! The daemon from start to stop.
//!
//! Start: configuration, wait for the interface, bind everything (a port that somebody else has ends it here), inventory, NAT, tasks,
//! ready.
//! Stop: SIGTERM, SIGINT or the first task that ends; then every task ends, NAT is off, journals are on disk, and the exit code says
//! whether it was meant.

use std::convert::Infallible;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use pxe_proto::boot::BaseUrl;
use pxe_proto::dhcp::Engine;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::boot_files::BootFile;
use crate::config::Config;
use crate::dhcp6::Clients6;
use crate::interface::Netlink;
use crate::leases::{Keeper, Leases};
use crate::nat::{self, Nat};
use crate::pulse::Pulses;
use crate::sockets::{Bound, Lan, Lan6};
use crate::state::State;
use crate::tasks::Tasks;
use crate::{dhcp, dhcp6, dns, duid, first_file, http, images, inventory, journal, notify, profiles};

/// How long tasks may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// How long threads may take after that which a hanging file system holds up. Both together are less than a service
/// manager waits before it kills.
const HANG_LIMIT: Duration = Duration::from_secs(2);

/// Two, so that one that copies a large file holds nobody else up; more would only cost memory.
const WORKERS: usize = 2;

/// What a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Services {
    /// Everything, on the lab's interface.
    All,
    /// HTTP alone, where another DHCP server hands out our URL.
    HttpOnly,
}

/// Serves until told to stop.
///
/// # Errors
/// It cannot start. Once it serves, nothing but its exit code tells of a failure.
pub(crate) fn run(config: &Config, services: Services) -> anyhow::Result<ExitCode> {
    let runtime =
        Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().context("cannot start the runtime")?;
    let code = runtime.block_on(serve(config, services));
    // A file system that hangs must not hold up the end.
    runtime.shutdown_timeout(HANG_LIMIT);
    code
}

async fn serve(config: &Config, services: Services) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let Bound { lab, http: listener, lan } = tokio::select! {
        bound = Bound::new(config, services) => bound?,
        signal = signals.next() => {
            info!(signal, "stopping");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let url = lab.base_url(listener.local_addr()?.port());

    let state = State::open(&config.state())?;
    let (reader, inventory) = inventory::open(&config.definitions(), lab.networks())?;
    let (journal, writer) = journal::open(&state.events(), inventory.clone())?;
    let (image_reader, images) = images::open(&config.images());
    let (profile_reader, profiles) = profiles::open(&config.profiles());

    let shutdown = CancellationToken::new();
    let (mut tasks, mut pulses) = (Tasks::default(), Pulses::default());
    // These may rightly wait for a disk or a network's file system as long as that takes.
    tasks.spawn("inventory", pulses.of("inventory").around(reader.run()));
    tasks.spawn("journal", pulses.of("journal").around(writer.run()));
    tasks.spawn("images", pulses.of("images").around(image_reader.run()));
    tasks.spawn("profiles", pulses.of("profiles").around(profile_reader.run()));
    let (mut interface, mut leases_known, mut names, mut clients6, mut http6) = (None, None, None, None, None);
    let rivals = config.dhcp.authoritative.then(|| dhcp::Rivals::new(lab.server.address()));
    if let Some(Lan { link, tftp, dns, interface: lan, ipv6 }) = lan {
        if let Some(nat) = Nat::start(nat::Plan::new(config, &lan)?, &state.nat())? {
            tasks.spawn("nat", nat.run(Netlink::open()?, pulses.of("nat"), shutdown.clone()));
        }
        let (leases, known) = Leases::open(&state.leases(), config.dhcp.durability)?;
        let mut engine = Engine::new(lab.engine(config, url), inventory.borrow().clone());
        known.into_iter().for_each(|lease| engine.restore(lease));
        let keeper = Keeper::start(leases)?;
        let mut dhcp = dhcp::Server::new(engine, keeper, link, inventory.clone(), profiles.clone(), journal.clone());
        if let Some(rivals) = &rivals {
            dhcp.report_rivals(rivals.clone());
            if let Some(watch) = dhcp::Watch::bind(rivals, &lan) {
                tasks.spawn("rivals", watch.run(pulses.of("rivals"), shutdown.clone()));
            }
        }
        let clients = dhcp.clients();
        let record = first_file::record(journal.clone(), move |address| match address {
            IpAddr::V4(address) => clients.borrow().holder(address),
            IpAddr::V6(_) => None,
        });
        leases_known = Some(dhcp.clients());
        if let Some((plan, sockets)) = dns {
            let dns = dns::Server::new(&plan, sockets, inventory.clone(), dhcp.clients());
            names = Some(dns.status());
            tasks.spawn("dns", dns.run(pulses.of("dns"), shutdown.clone()));
        }
        let (watched, end) = (lan.clone(), shutdown.clone());
        let watched = async move { end.run_until_cancelled(watched.gone()).await.unwrap_or_default() };
        tasks.spawn("interface", pulses.of("interface").around(watched));
        interface = Some(lan);
        tasks.spawn("dhcp", dhcp.run(pulses.of("dhcp"), shutdown.clone()));
        tasks.spawn("tftp", tftp.run(first_file::lookup(url), record, pulses.of("tftp"), shutdown.clone()));
        if let Some(Lan6 { lab, radv, dhcp6, tftp, http: listener }) = ipv6 {
            let url = BaseUrl::new(lab.server.address().into(), listener.local_addr()?.port());
            info!(server = %lab.server, %url, "IPv6");
            if let Some(radv) = radv {
                tasks.spawn("radv", radv.run(pulses.of("radv"), shutdown.clone()));
            }
            let mut clients = Clients6::new(lab.server);
            if let Some(socket) = dhcp6 {
                let (leases, known) = Leases::open(&state.leases6(), config.dhcp.durability)?;
                let told = lab.engine(config, duid::read_or_make(&state.duid())?, url);
                let mut engine = dhcp6::Engine::new(told, inventory.borrow().clone());
                known.into_iter().for_each(|lease| engine.restore(lease));
                let known = (inventory.clone(), profiles.clone());
                let dhcp6 = dhcp6::Server::new(engine, Keeper::start(leases)?, socket, known, journal.clone());
                clients.leased = Some(dhcp6.clients());
                tasks.spawn("dhcp6", dhcp6.run(pulses.of("dhcp6"), shutdown.clone()));
            }
            let known = clients.clone();
            let record = first_file::record(journal.clone(), move |address| match address {
                IpAddr::V4(_) => None,
                IpAddr::V6(address) => known.holder(address),
            });
            tasks.spawn("tftp6", tftp.run(first_file::lookup(url), record, pulses.of("tftp6"), shutdown.clone()));
            (clients6, http6) = (Some(clients), Some((listener, url)));
        }
    }
    if services == Services::HttpOnly && config.nat.is_some() {
        warn!("[nat] has no effect with --http-only: there is no lab interface");
    }
    let answers = http::State {
        inventory: inventory.clone(),
        images,
        profiles,
        journal: journal.clone(),
        server: lab.server,
        base: url,
        user: config.seed.user.clone(),
        clients: leases_known.clone().filter(|_| !config.http.trust_any_client),
        clients6,
        leases: leases_known,
        names,
        rivals,
        about: http::About::new(lab.server, interface),
        limits: http::Limits::default(),
        stopping: shutdown.clone(),
    };
    if let Some((listener, base)) = http6 {
        // The same answers, with URLs that whoever asks this way can reach.
        let answers = http::State { base, ..answers.clone() };
        tasks.spawn("http6", http::serve(listener, answers, pulses.of("http6"), shutdown.clone()));
    }
    tasks.spawn("http", http::serve(listener, answers, pulses.of("http"), shutdown.clone()));

    for file in BootFile::all().filter(|file| file.contents().is_none()) {
        warn!(file = %file.name(), "this program was built without it: run `cargo xtask boot-files`, then build again");
    }
    info!(server = %lab.server, %url, ?services, machines = inventory.borrow().machines().count(), "ready");
    notify::ready(&format!("serves {} at {url}", lab.server));

    let code = tokio::select! {
        signal = signals.next() => {
            info!(signal, "stopping");
            ExitCode::SUCCESS
        }
        name = tasks.first_end() => {
            error!(task = name, "stopping: a task ended by itself");
            ExitCode::FAILURE
        }
        never = watchdog(pulses) => match never {},
    };
    notify::stopping();
    shutdown.cancel();
    // The tasks behind these end when nobody has use for them any more.
    drop((inventory, journal));
    if timeout(STOP_LIMIT, tasks.all_end()).await.is_err() {
        warn!(tasks = ?tasks.names(), "did not end in time");
    }
    Ok(code)
}

/// Tells the service manager that every task still gets round to its work, as often as it asks for.
async fn watchdog(mut pulses: Pulses) -> Infallible {
    let Some(every) = notify::watchdog_interval() else { return std::future::pending().await };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match pulses.silent(every).await {
            silent if silent.is_empty() => notify::alive(),
            silent => {
                error!(tasks = ?silent, "do not get round to their work: the watchdog is not told that all is well")
            }
        }
    }
}

/// The signals that ask for the end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_ended_before_the_service_manager_kills_it() {
        let unit = include_str!("../../systemd/pxe-server.service");
        let seconds = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).expect("a limit");

        let limit = Duration::from_secs(seconds.parse().expect("a number of seconds"));

        assert!(STOP_LIMIT + HANG_LIMIT + Duration::from_secs(1) <= limit, "{limit:?}");
    }
}
