//! The task that owns NAT: it looks after what is in force, and changes it when it is told to.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};
use tokio_util::sync::CancellationToken;

use super::{Nat, Plan};
use crate::interface::Netlink;
use crate::pulse::Pulse;

/// NAT, where there is any; dropping it undoes everything.
#[derive(Debug)]
pub(crate) struct Service {
    nat: Option<Nat>,
    record: PathBuf,
    orders: mpsc::Receiver<Order>,
}

/// The way to have NAT changed.
#[derive(Clone, Debug)]
pub(crate) struct Orders(mpsc::Sender<Order>);

#[derive(Debug)]
struct Order {
    plan: Option<Plan>,
    done: oneshot::Sender<anyhow::Result<()>>,
}

/// How often the interfaces are looked at: a person who plugs the uplink in sees the answer in the log at once.
const POLL: Duration = Duration::from_secs(2);

/// How often the table is looked for: `systemctl restart nftables` and its like remove those of others too.
const LOOK: Duration = Duration::from_secs(10);

impl Service {
    /// Carries out the plan, as [`Nat::start`] does.
    ///
    /// # Errors
    /// Those of [`Nat::start`].
    pub(crate) fn start(plan: Option<Plan>, record: PathBuf) -> anyhow::Result<(Self, Orders)> {
        let (orders, receiver) = mpsc::channel(1);
        let nat = Nat::start(plan, &record)?;
        Ok((Self { nat, record, orders: receiver }, Orders(orders)))
    }

    /// Looks after the interfaces until the token is cancelled; then everything is undone.
    pub(crate) async fn run(mut self, netlink: Netlink, mut pulse: Pulse, shutdown: CancellationToken) {
        let (mut interfaces, mut table) = (interval(POLL), interval_at(Instant::now() + LOOK, LOOK));
        interfaces.set_missed_tick_behavior(MissedTickBehavior::Delay);
        table.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_on = self.nat.is_some();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = pulse.answer() => {}
                Some(Order { plan, done }) = self.orders.recv() => drop(done.send(self.change(plan).await)),
                _ = interfaces.tick(), if is_on => {
                    if let Some(nat) = &mut self.nat {
                        nat.look_after_the_uplink();
                        nat.look_after_the_addresses(&netlink).await;
                    }
                }
                _ = table.tick(), if is_on => {
                    if let Some(nat) = &mut self.nat {
                        nat.look_after_the_table().await;
                    }
                }
            }
        }
    }

    async fn change(&mut self, plan: Option<Plan>) -> anyhow::Result<()> {
        match (&mut self.nat, plan) {
            (Some(nat), Some(plan)) => nat.go_by(plan.uplink).await,
            (None, Some(plan)) => {
                let record = self.record.clone();
                self.nat = spawn_blocking(move || Nat::start(Some(plan), &record)).await??;
                Ok(())
            }
            (Some(_), None) => {
                let nat = self.nat.take();
                Ok(spawn_blocking(move || drop(nat)).await?)
            }
            (None, None) => Ok(()),
        }
    }
}

impl Orders {
    /// Has this plan in force, or no NAT.
    ///
    /// # Errors
    /// The kernel refuses: then what was in force stays.
    pub(crate) async fn change(&self, plan: Option<Plan>) -> anyhow::Result<()> {
        let ended = "NAT has ended";
        let (done, answer) = oneshot::channel();
        self.0.send(Order { plan, done }).await.ok().context(ended)?;
        answer.await.context(ended)?
    }
}
