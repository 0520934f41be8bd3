//! Another configuration, while the server runs: on SIGHUP, and when its file changes.
//!
//! A new configuration is read whole, fitted to the network, and only then published as a new [`Plan`]: all of it or nothing. One that is
//! wrong changes nothing, and is told with file, line and key. What is bound, and where files are, stays as it is until a restart; the
//! owner is told which keys that concerns.
//!
//! Deliberately not here: what a service does about another plan. Each takes up the newest by itself.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use lab_model::{Configuration, Sha256};
use sha2::Digest as _;
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{Config, Difference};
use crate::definitions::{QUIET, Watch};
use crate::interface::Interface;
use crate::inventory::POLL;
use crate::log::Log;
use crate::nat;
use crate::notify;
use crate::plan::{Plan, Plans};
use crate::profiles;

/// The only one who changes the plan.
pub(crate) struct Reload {
    /// As the server was started: what only a restart changes is as here.
    started: Config,
    interface: Option<Interface>,
    nat: Option<nat::Orders>,
    log: Log,
    plans: watch::Sender<Arc<Plan>>,
    configuration: watch::Sender<Configuration>,
    /// What the file said when it was looked at last, or why it could not be read.
    seen: Text,
    hangup: Signal,
}

/// A file's text, or why it has none.
type Text = Result<String, String>;

impl Reload {
    /// The configuration that the server starts with.
    pub(crate) fn new(plan: Plan, log: Log, hangup: Signal) -> Self {
        let started = plan.config.clone();
        Self {
            configuration: watch::Sender::new(at_work(&started)),
            plans: watch::Sender::new(Arc::new(plan)),
            seen: Ok(started.text().to_owned()),
            started,
            interface: None,
            nat: None,
            log,
            hangup,
        }
    }

    /// Fits configurations to this interface, and has NAT changed there.
    pub(crate) fn serve_on(&mut self, interface: Interface, nat: nat::Orders) {
        (self.interface, self.nat) = (Some(interface), Some(nat));
    }

    /// What is at work, now and later.
    pub(crate) fn plans(&self) -> Plans {
        self.plans.subscribe()
    }

    /// How it is with the file, now and later.
    pub(crate) fn configuration(&self) -> watch::Receiver<Configuration> {
        self.configuration.subscribe()
    }

    /// Looks at the file, whenever it changes and whenever it is told to, until the token is cancelled. `status` is what the service
    /// manager is told when that is done.
    pub(crate) async fn run(mut self, status: String, shutdown: CancellationToken) {
        let mut watch = None;
        let mut asked = false;
        loop {
            let text;
            (watch, text) = look_at(self.started.path(), watch).await;
            if asked {
                notify::reloading();
                self.look(text).await;
                notify::ready(&self.status(&status));
            } else if text != self.seen {
                // Not what somebody has half written: what is the same a moment later.
                sleep(QUIET).await;
                let later;
                (watch, later) = look_at(self.started.path(), watch).await;
                if later == text {
                    self.look(text).await;
                    notify::status(&self.status(&status));
                }
            }
            asked = tokio::select! {
                () = shutdown.cancelled() => return,
                Some(()) = self.hangup.recv() => true,
                () = Watch::settled(watch.as_ref()) => false,
                () = sleep(POLL) => false,
            };
        }
    }

    /// Takes up what the file says, or tells why not.
    async fn look(&mut self, text: Text) {
        self.seen.clone_from(&text);
        let before = self.plans.borrow().config.clone();
        match self.take_up(text).await {
            Ok(()) => self.tell(&before),
            Err(error) => {
                let problem = format!("{error:#}");
                warn!(problem, "the configuration stays as it was");
                self.configuration.send_modify(|configuration| configuration.problem = Some(problem));
            }
        }
    }

    async fn take_up(&self, text: Text) -> anyhow::Result<()> {
        let path = self.started.path();
        let text = text.map_err(anyhow::Error::msg).with_context(|| format!("cannot read {}", path.display()))?;
        let mut config = Config::parse(path, text)?;
        config.keep_what_is_fixed(&self.started);
        profiles::of_classes(&config)?;
        let plan = Plan::new(config, self.interface.as_ref())?;
        let Plan { ports, tls_ports, .. } = **self.plans.borrow();
        let plan = Plan { ports, tls_ports, ..plan };
        // First what can be refused.
        if let Some(nat) = &self.nat {
            nat.change(plan.nat.clone()).await?;
        }
        self.log.set_levels(&plan.config.log.level);
        self.plans.send_replace(Arc::new(plan));
        Ok(())
    }

    /// What the service manager shows: what is served, and what is wrong with the file, if anything is.
    fn status(&self, serves: &str) -> String {
        match &self.configuration.borrow().problem {
            Some(problem) => format!("{serves}; the configuration stays as it was: {}", in_a_line(problem)),
            None => serves.to_owned(),
        }
    }

    /// Says what is different now, and what will be after a restart.
    fn tell(&self, before: &Config) {
        let config = &self.plans.borrow().config;
        let differences = Difference::between(before, config);
        if differences.is_empty() {
            info!("the configuration is the same");
        }
        for difference in differences {
            let Difference { key, old, new } = &difference;
            if difference.needs_restart() {
                warn!(key, %old, %new, "only a restart brings this into force");
            } else {
                info!(key, %old, %new, "configuration changed");
            }
        }
        let since_start = Difference::between(&self.started, config).into_iter();
        let restart_for = since_start.filter(Difference::needs_restart).map(|difference| difference.key).collect();
        self.configuration.send_replace(Configuration { restart_for, ..at_work(config) });
    }
}

/// A configuration that is taken up now.
fn at_work(config: &Config) -> Configuration {
    let sha256 = Sha256(sha2::Sha256::digest(config.text()).into());
    Configuration { sha256, since: Timestamp::now(), problem: None, restart_for: Vec::new() }
}

/// A problem without the picture that TOML's have between what is where and why: the service manager takes a line.
fn in_a_line(problem: &str) -> String {
    let mut lines = problem.lines();
    let first = lines.next().unwrap_or_default();
    lines.next_back().map_or(first.to_owned(), |last| format!("{first}: {}", last.trim()))
}

/// What the file says, and what tells of its next change. A network's file system can hold it up for as long as it likes.
async fn look_at(path: &Path, watch: Option<Watch>) -> (Option<Watch>, Text) {
    let path = path.to_owned();
    let look = move || {
        let folder = path.parent().filter(|folder| *folder != "").unwrap_or(Path::new("."));
        // Watched first, then read: no change falls between the two.
        let watch = watch.filter(|watch| watch.is_of(folder)).or_else(|| Watch::new(folder));
        (watch, fs::read_to_string(&path).map_err(|error| error.to_string()))
    };
    spawn_blocking(look).await.unwrap_or_else(|error| (None, Err(error.to_string())))
}
