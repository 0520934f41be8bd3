//! The daemon from start to stop.
//!
//! Start: configuration, bind everything (a port that somebody else has ends it here), inventory, tasks, ready.
//! Stop: SIGTERM, SIGINT or the first task that ends; then every task ends, journals are on disk, and the exit code says
//! whether it was meant.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use pxe_proto::dhcp::Engine;
use pxe_proto::tftp::Limits;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{Id, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::capability::{Capability, REMEDY};
use crate::config::{Config, TftpSection};
use crate::dhcp::{self, Link};
use crate::interface::{Interface, Netlink};
use crate::lab::Lab;
use crate::leases::Leases;
use crate::port_owner::{Protocol, explain};
use crate::sockets::{DhcpSocket, bind_http};
use crate::{first_file, inventory, journal, notify, tftp};

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
    let Bound { lab, http, lan } = Bound::new(config, services).await?;
    let url = lab.base_url(http.local_addr()?.port());

    let state = State::open(&config.state())?;
    let (reader, inventory) = inventory::open(&config.definitions(), lab.server)?;
    let (journal, writer) = journal::open(&state.folder, inventory.clone()).await?;

    let shutdown = CancellationToken::new();
    let mut tasks = Tasks::default();
    tasks.spawn("inventory", reader.run());
    tasks.spawn("journal", writer.run());
    if let Some(Lan { link, tftp }) = lan {
        let (leases, known) = Leases::open(&state.folder.join("leases"), config.dhcp.durability)?;
        let mut engine = Engine::new(lab.engine(config, url), inventory.borrow().clone());
        known.into_iter().for_each(|lease| engine.restore(lease));
        let dhcp = dhcp::Server::new(engine, leases, link, inventory.clone(), journal.clone());
        let record = first_file::record(journal.clone());
        tasks.spawn("dhcp", dhcp.run(shutdown.clone()));
        tasks.spawn("tftp", tftp.run(first_file::lookup(url), record, shutdown.clone()));
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
        () = watchdog() => ExitCode::FAILURE,
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

/// Everything that can fail for a reason outside of this program, done before anything is answered.
struct Bound {
    lab: Lab,
    http: TcpListener,
    lan: Option<Lan>,
}

/// What machines without an address talk to.
struct Lan {
    link: Link,
    tftp: tftp::Server,
}

impl Bound {
    async fn new(config: &Config, services: Services) -> anyhow::Result<Self> {
        let (lab, lan) = match services {
            Services::HttpOnly => (Lab::new(config, None)?, None),
            Services::All => {
                let netlink = Netlink::open()?;
                let interface = Interface::of(config, &netlink.interfaces().await?)?;
                let lab = Lab::new(config, Some(&interface))?;
                let lan = Lan::bind(config, &lab, &interface, netlink)?;
                (lab, Some(lan))
            }
        };
        let listen = config.http.listen.unwrap_or(match services {
            Services::All => lab.server.address(),
            Services::HttpOnly => Ipv4Addr::UNSPECIFIED,
        });
        let http = bind_http(listen, config.http.port.0)?;
        Ok(Self { lab, http, lan })
    }
}

impl Lan {
    fn bind(config: &Config, lab: &Lab, interface: &Interface, netlink: Netlink) -> anyhow::Result<Self> {
        let server = lab.server.address();
        let socket = DhcpSocket::bind(interface, server)?;
        let tftp = tftp_config(&config.tftp, server, interface);
        let port = tftp.address.port();
        let tftp = tftp::Server::bind(tftp).map_err(|error| explain(error, Protocol::Udp, port))?;
        let introduces = Capability::NetAdmin.is_held();
        if !introduces {
            warn!(
                "this process lacks {}: machines without an address are answered by broadcast; to change that, {REMEDY}",
                Capability::NetAdmin
            );
        }
        let link = Link { socket, netlink: introduces.then_some(netlink), interface: interface.index };
        Ok(Self { link, tftp })
    }
}

fn tftp_config(written: &TftpSection, server: Ipv4Addr, interface: &Interface) -> tftp::Config {
    let default = tftp::Config::new(server.into());
    tftp::Config {
        device: Some(interface.name.clone()),
        limits: Limits {
            block_size: written.max_block_bytes.map_or(default.limits.block_size, |most| most.0),
            window: written.max_window_blocks.map_or(default.limits.window, |most| most.0),
        },
        transfers: written.max_transfers.map_or(default.transfers, |most| most.0.into()),
        transfers_per_client: written
            .max_transfers_per_client
            .map_or(default.transfers_per_client, |most| most.0.into()),
        ..default
    }
}

/// The folder of what the server must remember; one process at a time has it.
struct State {
    folder: PathBuf,
    _lock: File,
}

impl State {
    fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("lock");
        let failed = || format!("cannot use the state folder {}", folder.display());
        fs::create_dir_all(folder).with_context(failed)?;
        let lock = File::create(&path).with_context(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                anyhow::bail!("{} is in use: another pxe-server has the lock on {}", folder.display(), path.display())
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(failed),
        }
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
