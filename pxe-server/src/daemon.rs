//! The daemon from start to stop.
//!
//! Start: configuration, bind everything (a port that somebody else has ends it here), inventory, tasks, ready.
//! Stop: SIGTERM, SIGINT or the first task that ends; then every task ends, journals are on disk, and the exit code says
//! whether it was meant.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{Id, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::Config;
use crate::interface::{Interface, Netlink};
use crate::lab::Lab;
use crate::sockets::{DhcpSocket, bind_http};
use crate::{inventory, journal, notify};

/// How long tasks may take to end: less than a service manager waits before it kills.
const STOP_LIMIT: Duration = Duration::from_secs(5);

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
        Builder::new_multi_thread().worker_threads(2).enable_all().build().context("cannot start the runtime")?;
    let code = runtime.block_on(serve(config, services));
    // A file system that hangs must not hold up the end.
    runtime.shutdown_timeout(STOP_LIMIT);
    code
}

async fn serve(config: &Config, services: Services) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let bound = Bound::new(config, services).await?;
    let lab = bound.lab;

    let state = config.state();
    tokio::fs::create_dir_all(&state).await.with_context(|| format!("cannot make {}", state.display()))?;
    let (reader, inventory) = inventory::open(&config.definitions(), lab.server)?;
    let (journal, writer) = journal::open(&state, inventory.clone()).await?;

    let shutdown = CancellationToken::new();
    let mut tasks = Tasks::default();
    tasks.spawn("inventory", reader.run());
    tasks.spawn("journal", writer.run());

    let status = format!("serves {} at {}", lab.server, bound.url);
    info!(network = %lab.server, url = %bound.url, services = ?services, "ready");
    notify::ready(&status);

    let code = tokio::select! {
        signal = signals.next() => {
            info!(signal, "stopping");
            ExitCode::SUCCESS
        }
        name = tasks.first_end() => {
            error!(task = name, "stopping: a task ended by itself");
            ExitCode::FAILURE
        }
        () = watchdog() => ExitCode::FAILURE,
    };
    notify::stopping();
    shutdown.cancel();
    // Both tasks end when nobody has use for them any more.
    drop((inventory, journal));
    if timeout(STOP_LIMIT, tasks.all_end()).await.is_err() {
        warn!(tasks = ?tasks.names(), "did not end in time");
    }
    Ok(code)
}

/// Everything that can fail for a reason outside of this program, done before anything is answered.
struct Bound {
    lab: Lab,
    url: pxe_proto::boot::BaseUrl,
    http: TcpListener,
    dhcp: Option<DhcpSocket>,
}

impl Bound {
    async fn new(config: &Config, services: Services) -> anyhow::Result<Self> {
        let (lab, dhcp) = match services {
            Services::HttpOnly => (Lab::new(config, None)?, None),
            Services::All => {
                let netlink = Netlink::open()?;
                let interface = Interface::of(config, &netlink.interfaces().await?)?;
                let lab = Lab::new(config, Some(&interface))?;
                let dhcp = DhcpSocket::bind(&interface, lab.server.address())?;
                (lab, Some(dhcp))
            }
        };
        let listen = config.http.listen.unwrap_or(match services {
            Services::All => lab.server.address(),
            Services::HttpOnly => std::net::Ipv4Addr::UNSPECIFIED,
        });
        let http = bind_http(listen, config.http.port)?;
        let url = lab.base_url(http.local_addr()?.port());
        Ok(Self { lab, url, http, dhcp })
    }
}

/// Tells the service manager that the runtime still runs tasks, as often as it asks for.
async fn watchdog() {
    let Some(every) = notify::watchdog_interval() else { return std::future::pending().await };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        notify::alive();
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

/// The daemon's tasks by name.
#[derive(Default)]
struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.set.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// The name of the next task that ends; never, if there is none.
    async fn first_end(&mut self) -> &'static str {
        let Some(ended) = self.set.join_next_with_id().await else { return std::future::pending().await };
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => error.id(),
        };
        self.names.remove(&id).expect("every task was spawned with a name")
    }

    async fn all_end(&mut self) {
        while !self.set.is_empty() {
            self.first_end().await;
        }
    }

    fn names(&self) -> Vec<&'static str> {
        self.names.values().copied().collect()
    }
}
