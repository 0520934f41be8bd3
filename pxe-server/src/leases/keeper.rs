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

/// Has leases written.
#[derive(Debug)]
pub(crate) struct Keeper<A = Ipv4Addr> {
    orders: mpsc::Sender<Order<A>>,
    ended: oneshot::Receiver<()>,
    crowded: bool,
}

/// What is to be written.
struct Order<A> {
    leases: Vec<LeaseRecord<A>>,
    /// Every lease that counts, where the journal is to become shorter.
    all: Option<Vec<LeaseRecord<A>>>,
    done: oneshot::Sender<Done>,
}

/// What became of it.
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
        let (orders, received) = mpsc::channel(1);
        let (end, ended) = oneshot::channel();
        let crowded = leases.is_crowded();
        let work = move || {
            keep(leases, received);
            // Nobody waits where the program ends without having asked for it.
            let _ = end.send(());
        };
        thread::Builder::new().name("leases".to_owned()).spawn(work).context("cannot start the thread for leases")?;
        Ok(Self { orders, ended, crowded })
    }

    /// Adds leases; when this returns they are as safe as the configured durability says. `all` is asked for every lease
    /// that counts where the journal has become long.
    ///
    /// # Errors
    /// The disk refuses: then none of them count as written.
    pub(crate) async fn append(
        &mut self,
        leases: &[LeaseRecord<A>],
        all: impl FnOnce() -> Vec<LeaseRecord<A>>,
    ) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        let order = Order { leases: leases.to_vec(), all: self.crowded.then(all), done };
        // Nothing in the thread can panic; if it is gone all the same, nothing may be promised.
        let gone = || io::Error::other("the thread for leases has ended");
        self.orders.send(order).await.map_err(|_| gone())?;
        let Done { written, crowded } = answer.await.map_err(|_| gone())?;
        self.crowded = crowded;
        written
    }

    /// Ends the thread once everything is on disk.
    pub(crate) async fn close(self) {
        drop(self.orders);
        let _ = self.ended.await;
    }
}

fn keep<A: Serialize>(mut leases: Leases, mut orders: mpsc::Receiver<Order<A>>) {
    while let Some(Order { leases: wanted, all, done }) = orders.blocking_recv() {
        let written = leases.append(&wanted);
        if let (Ok(()), Some(all)) = (&written, all)
            && let Err(error) = leases.rewrite(&all)
        {
            warn!(%error, "the lease journal cannot be made shorter");
        }
        // Who does not wait any more is stopping.
        let _ = done.send(Done { written, crowded: leases.is_crowded() });
    }
    if let Err(error) = leases.sync() {
        error!(%error, "the last leases may not be on disk");
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
            keeper.append(&[lease(1)], Vec::new).await.expect("room");
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
            keeper.append(&[lease(1), lease(2)], || vec![lease(2)]).await.expect("room");
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
