//! The daemon from start to stop.
//!
//! Start: configuration, wait for the interface, bind everything (a port that somebody else has ends it here), inventory, NAT, tasks,
//! ready.
//! Stop: SIGTERM, SIGINT or the first task that ends; then every task ends, NAT is off, journals are on disk, and the exit code says
//! whether it was meant.

mod http;
mod ipv4;
mod ipv6;
mod known;

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{error, info, warn};

use self::known::Known;
use crate::boot_files::BootFile;
use crate::config::Config;
use crate::log::Log;
use crate::notify;
use crate::plan::{Family, Plan};
use crate::profiles;
use crate::pulse::Pulses;
use crate::reload::Reload;
use crate::sockets::Bound;
use crate::state::State;
use crate::tasks::Tasks;
use crate::tls;

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

/// What every service starts from: a file of this folder for each family, and one for HTTP, which all of them meet in.
struct Start<'a> {
    plan: &'a Plan,
    reload: &'a mut Reload,
    state: &'a State,
    known: &'a Known,
    identity: Option<tls::Watch>,
    tasks: &'a mut Tasks,
}

/// Serves until told to stop.
///
/// # Errors
/// It cannot start. Once it serves, nothing but its exit code tells of a failure.
pub(crate) fn run(config: Config, services: Services, log: Log) -> anyhow::Result<ExitCode> {
    let runtime =
        Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().context("cannot start the runtime")?;
    let code = runtime.block_on(serve(config, services, log));
    // A file system that hangs must not hold up the end.
    runtime.shutdown_timeout(HANG_LIMIT);
    code
}

async fn serve(config: Config, services: Services, log: Log) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    // From the beginning, because it ends a process that does not listen for it.
    let hangup = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    profiles::of_classes(&config)?;
    let bound = tokio::select! {
        bound = Bound::new(&config, services) => bound?,
        signal = signals.next() => {
            info!(signal, "stopping");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let state = State::open(&config.state())?;
    let mut tasks = Tasks::default();
    let reload = Reload::new(bound.plan.clone(), log, hangup);
    let known = start(bound, services, reload, &state, &mut tasks)?;

    let code = tokio::select! {
        signal = signals.next() => {
            info!(signal, "stopping");
            ExitCode::SUCCESS
        }
        never = watchdog(tasks.take_pulses()) => match never {},
        name = tasks.first_end() => {
            error!(task = name, "stopping: a task ended by itself");
            ExitCode::FAILURE
        }
    };
    notify::stopping();
    tasks.shutdown().cancel();
    // The tasks behind it end when nobody has use for them any more.
    drop(known);
    if timeout(STOP_LIMIT, tasks.all_end()).await.is_err() {
        warn!(tasks = ?tasks.names(), "did not end in time");
    }
    Ok(code)
}

/// Starts every service on what is bound, and says that it is ready.
fn start(
    bound: Bound,
    services: Services,
    mut reload: Reload,
    state: &State,
    tasks: &mut Tasks,
) -> anyhow::Result<Known> {
    let Bound { plan, http: listener, https, lan } = bound;
    let known = Known::open(&plan, reload.plans(), state, tasks)?;
    let (https, identities) = https.unzip();
    let identity = identities.as_ref().map(tls::Identities::watch);
    if let Some(identities) = identities {
        let hangup = signal(SignalKind::hangup()).context("cannot listen for signals")?;
        tasks.spawn("tls", |pulse, shutdown| pulse.around(identities.follow(hangup, shutdown)));
    }
    let mut start = Start { plan: &plan, reload: &mut reload, state, known: &known, identity, tasks };
    let served = lan.map(|lan| start.ipv4(lan)).transpose()?;
    start.http(listener, https, served.unwrap_or_default());

    if services == Services::HttpOnly && plan.config.nat.is_some() {
        warn!("[nat] has no effect with --http-only: there is no lab interface");
    }
    for file in BootFile::all().filter(|file| file.contents().is_none()) {
        warn!(file = %file.name(), "this program was built without it: run `cargo xtask boot-files`, then build again");
    }
    let (server, url) = (plan.lab.server, plan.url(Family::Ipv4));
    let machines = known.inventory.borrow().machines().count();
    info!(%server, %url, ?services, machines, "ready");
    if let Some(url) = plan.secure_url(Family::Ipv4) {
        info!(%url, "TLS");
    }
    let status = format!("serves {server} at {url}");
    notify::ready(&status);
    tasks.spawn("reload", |pulse, shutdown| pulse.around(reload.run(status, shutdown)));
    Ok(known)
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
