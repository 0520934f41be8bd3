//! The thread that writes the lease journal.
//!
//! The runtime's threads for blocking work are shared with image files and definitions, which can lie on a network file
//! system that hangs. No machine's lease may wait for them.

use std::io;
use std::net::Ipv4Addr;
use std::thread;

use anyhow::Context;
use pxe_proto::dhcp::LeaseRecord;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use super::Leases;

/// Has leases written, one order after the other: while the disk works, its caller goes on.
#[derive(Debug)]
pub(crate) struct Keeper<A = Ipv4Addr> {
    orders: mpsc::Sender<Order<A>>,
    ended: oneshot::Receiver<()>,
    crowded: bool,
    under_way: Option<oneshot::Receiver<Done>>,
}

/// The thread's side.
pub(super) struct Work<A> {
    orders: mpsc::Receiver<Order<A>>,
    end: oneshot::Sender<()>,
}

/// What is to be written.
#[derive(Debug)]
struct Order<A> {
    leases: Vec<LeaseRecord<A>>,
    /// Every lease that counts, where the journal is to become shorter.
    all: Option<Vec<LeaseRecord<A>>>,
    done: oneshot::Sender<Done>,
}

/// What became of it.
#[derive(Debug)]
struct Done {
    written: io::Result<()>,
    crowded: bool,
}

impl<A: Clone + Serialize + Send + 'static> Keeper<A> {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn start(leases: Leases) -> anyhow::Result<Self> {
        let (keeper, work) = Self::pair(leases.is_crowded());
        thread::Builder::new()
            .name("leases".to_owned())
            .spawn(move || work.run(leases))
            .context("cannot start the thread for leases")?;
        Ok(keeper)
    }

    /// Who gives orders, and who carries them out.
    pub(super) fn pair(crowded: bool) -> (Self, Work<A>) {
        let (orders, received) = mpsc::channel(1);
        let (end, ended) = oneshot::channel();
        (Self { orders, ended, crowded, under_way: None }, Work { orders: received, end })
    }

    /// Whether an order is being carried out.
    pub(super) fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Has leases added while no order is being carried out; [`Keeper::written`] tells when they are. `all` is asked for every
    /// lease that counts where the journal has become long.
    pub(super) fn begin(&mut self, leases: Vec<LeaseRecord<A>>, all: impl FnOnce() -> Vec<LeaseRecord<A>>) {
        let (done, answer) = oneshot::channel();
        let order = Order { leases, all: self.crowded.then(all), done };
        // There is room for one order, and the last one is out. If the thread is gone, so is who would answer.
        let _ = self.orders.try_send(order);
        self.under_way = Some(answer);
    }

    /// Waits until the order is carried out: the leases are as safe as the configured durability says. For ever where there is
    /// none. Who stops waiting may wait again.
    ///
    /// # Errors
    /// The disk refuses: then none of them count as written.
    pub(super) async fn written(&mut self) -> io::Result<()> {
        let Some(answer) = &mut self.under_way else { return std::future::pending().await };
        let done = answer.await;
        self.under_way = None;
        // Nothing in the thread can panic; if it is gone all the same, nothing may be promised.
        let Done { written, crowded } = done.map_err(|_| io::Error::other("the thread for leases has ended"))?;
        self.crowded = crowded;
        written
    }

    /// Ends the thread once everything is on disk.
    pub(crate) async fn close(self) {
        drop(self.orders);
        let _ = self.ended.await;
    }
}

impl<A: Serialize> Work<A> {
    /// Carries out orders until there are no more.
    fn run(mut self, mut leases: Leases) {
        while self.carry_out(&mut leases).is_some() {}
        if let Err(error) = leases.sync() {
            error!(%error, "the last leases may not be on disk");
        }
        // Nobody waits where the program ends without having asked for it.
        let _ = self.end.send(());
    }

    /// Carries out the next order; `None` when there are no more.
    pub(super) fn carry_out(&mut self, leases: &mut Leases) -> Option<()> {
        let Order { leases: wanted, all, done } = self.orders.blocking_recv()?;
        let written = leases.append(&wanted);
        let all = all.filter(|_| written.is_ok());
        // Nobody waits for the shorter journal; whether it is short enough is told with the next order.
        let crowded = leases.is_crowded() && all.is_none();
        // Who does not wait any more is stopping.
        let _ = done.send(Done { written, crowded });
        if let Some(all) = all
            && let Err(error) = leases.rewrite(&all)
        {
            warn!(%error, "the lease journal cannot be made shorter");
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as blocking;

    use lab_model::MacAddr;
    use pxe_proto::dhcp::{LeaseState, UnixSeconds};
    use tokio::runtime::Builder;

    use super::*;
    use crate::config::Durability;

    #[test]
    fn leases_are_written_while_every_thread_for_blocking_work_hangs() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("leases");
        let runtime = Builder::new_current_thread().max_blocking_threads(1).build().expect("a runtime");
        let (hung, mount) = blocking::channel::<()>();

        runtime.block_on(async {
            tokio::task::spawn_blocking(move || mount.recv());
            let (leases, _) = Leases::open::<Ipv4Addr>(&path, Durability::Synced).expect("a journal");
            let mut keeper = Keeper::start(leases).expect("a thread");
            keeper.begin(vec![lease(1)], Vec::new);
            keeper.written().await.expect("room");
            keeper.close().await;
        });

        assert_eq!(Leases::open::<Ipv4Addr>(&path, Durability::Synced).expect("the journal").1, [lease(1)]);
        drop(hung);
    }

    #[tokio::test]
    async fn a_long_journal_becomes_short_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("leases");
        let (leases, _) = Leases::open::<Ipv4Addr>(&path, Durability::Buffered).expect("a journal");
        let mut keeper = Keeper::start(leases).expect("a thread");

        for _ in 0..1000 {
            keeper.begin(vec![lease(1), lease(2)], || vec![lease(2)]);
            keeper.written().await.expect("room");
        }
        keeper.close().await;

        let restored = Leases::open::<Ipv4Addr>(&path, Durability::Buffered).expect("the journal").1;
        assert!(restored.len() < 1000, "{}", restored.len());
        assert_eq!(restored.last(), Some(&lease(2)));
    }

    fn lease(last: u8) -> LeaseRecord {
        LeaseRecord {
            mac: MacAddr::new([0x52, 0x54, 0, 0, 0, last]),
            address: Ipv4Addr::new(10, 77, 0, last),
            state: LeaseState::Bound,
            granted: UnixSeconds(1),
            expires: UnixSeconds(2),
            hostname: None,
        }
    }
}
