//! Who writes the lease journal.
//!
//! Where the disk is waited for (`durability = "synced"`), a thread of its own has the journal for as long as that takes. Where it
//! is not (`"buffered"`), a write only copies into the kernel's memory, which takes less than waking a thread: whoever gives the
//! leases writes them. Making the journal shorter waits for the disk either way, and is the thread's.
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
use crate::config::Durability;

/// Has leases written, one lot after the other: while the disk works, its caller goes on.
#[derive(Debug)]
pub(crate) struct Keeper<A = Ipv4Addr> {
    /// `None` while the thread has it.
    journal: Option<Leases>,
    orders: mpsc::Sender<Order<A>>,
    under_way: Option<UnderWay>,
}

/// What is not told yet.
#[derive(Debug)]
enum UnderWay {
    /// What became of leases that were written at once.
    Here(io::Result<()>),
    /// The thread's work, and the journal with it.
    Thread(oneshot::Receiver<Done>),
}

/// The thread's side.
pub(super) struct Orders<A>(mpsc::Receiver<Order<A>>);

/// What the thread is to do with the journal.
#[derive(Debug)]
pub(super) struct Order<A> {
    pub(super) journal: Leases,
    work: Work<A>,
    done: oneshot::Sender<Done>,
}

#[derive(Debug)]
enum Work<A> {
    /// To add these.
    Append(Vec<LeaseRecord<A>>),
    /// To make it shorter: these are all that count.
    Shorten(Vec<LeaseRecord<A>>),
    /// To have on disk whatever is in it.
    Sync,
}

/// What became of it.
#[derive(Debug)]
struct Done {
    journal: Leases,
    written: io::Result<()>,
}

impl<A: Clone + Serialize + Send + 'static> Keeper<A> {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn start(journal: Leases) -> anyhow::Result<Self> {
        let (keeper, orders) = Self::pair(journal);
        thread::Builder::new()
            .name("leases".to_owned())
            .spawn(move || orders.carry_out())
            .context("cannot start the thread for leases")?;
        Ok(keeper)
    }

    /// Who gives orders, and who carries them out.
    pub(super) fn pair(journal: Leases) -> (Self, Orders<A>) {
        let (orders, received) = mpsc::channel(1);
        (Self { journal: Some(journal), orders, under_way: None }, Orders(received))
    }

    /// Whether something is under way: [`Keeper::written`] tells when it is done.
    pub(super) fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether the journal is worth making shorter now.
    pub(super) fn is_crowded(&self) -> bool {
        self.journal.as_ref().is_some_and(Leases::is_crowded)
    }

    /// Has leases added, while nothing is under way.
    pub(super) fn append(&mut self, leases: &[LeaseRecord<A>]) {
        match &mut self.journal {
            Some(journal) if journal.durability() == Durability::Buffered => {
                self.under_way = Some(UnderWay::Here(journal.append(leases)));
            }
            Some(_) | None => self.order(Work::Append(leases.to_vec())),
        }
    }

    /// Has the journal made shorter, while nothing is under way; `all` are the leases that count.
    pub(super) fn shorten(&mut self, all: Vec<LeaseRecord<A>>) {
        self.order(Work::Shorten(all));
    }

    fn order(&mut self, work: Work<A>) {
        let Some(journal) = self.journal.take() else {
            self.under_way = Some(UnderWay::Here(Err(gone())));
            return;
        };
        let (done, answer) = oneshot::channel();
        // There is room for one order, and the last one is out. If the thread is gone, so is who would answer.
        let _ = self.orders.try_send(Order { journal, work, done });
        self.under_way = Some(UnderWay::Thread(answer));
    }

    /// Waits until what is under way is done: leases are as safe as the configured durability says. For ever where there is
    /// nothing. Who stops waiting may wait again.
    ///
    /// # Errors
    /// The disk refuses: then none of them count as written.
    pub(super) async fn written(&mut self) -> io::Result<()> {
        let done = match &mut self.under_way {
            Some(UnderWay::Thread(answer)) => Some(answer.await),
            Some(UnderWay::Here(_)) => None,
            None => return std::future::pending().await,
        };
        match (done, self.under_way.take()) {
            (Some(Ok(Done { journal, written })), _) => {
                self.journal = Some(journal);
                written
            }
            (None, Some(UnderWay::Here(written))) => written,
            // Nothing in the thread can panic; if it is gone all the same, nothing may be promised.
            (Some(Err(_)), _) | (None, _) => Err(gone()),
        }
    }

    /// Ends the thread once everything is on disk.
    pub(crate) async fn close(mut self) {
        if self.is_busy() {
            let _ = self.written().await;
        }
        self.order(Work::Sync);
        if let Err(error) = self.written().await {
            error!(%error, "the last leases may not be on disk");
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread for leases has ended")
}

impl<A: Serialize> Orders<A> {
    /// Carries out orders until there are no more.
    fn carry_out(mut self) {
        while let Some(order) = self.next() {
            order.carry_out();
        }
    }

    /// Waits for the next order; `None` when there are no more.
    pub(super) fn next(&mut self) -> Option<Order<A>> {
        self.0.blocking_recv()
    }
}

impl<A: Serialize> Order<A> {
    /// Does the work, and gives the journal back.
    pub(super) fn carry_out(self) {
        let Self { mut journal, work, done } = self;
        let written = match work {
            Work::Append(leases) => journal.append(&leases),
            Work::Shorten(all) => {
                if let Err(error) = journal.rewrite(&all) {
                    warn!(%error, "the lease journal cannot be made shorter");
                }
                Ok(())
            }
            Work::Sync => journal.sync(),
        };
        // Who does not wait any more is stopping.
        let _ = done.send(Done { journal, written });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as blocking;

    use futures_util::FutureExt;
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
            keeper.append(&[lease(1)]);
            keeper.written().await.expect("room");
            keeper.close().await;
        });

        assert_eq!(Leases::open::<Ipv4Addr>(&path, Durability::Synced).expect("the journal").1, [lease(1)]);
        drop(hung);
    }

    #[tokio::test]
    async fn leases_are_written_at_once_where_no_disk_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("leases");
        let (leases, _) = Leases::open::<Ipv4Addr>(&path, Durability::Buffered).expect("a journal");
        let (mut keeper, _nobody) = Keeper::pair(leases);

        keeper.append(&[lease(1)]);

        assert_eq!(Leases::open::<Ipv4Addr>(&path, Durability::Buffered).expect("the journal").1, [lease(1)]);
        keeper.written().now_or_never().expect("an answer").expect("room");
        assert!(!keeper.is_busy());
    }

    #[tokio::test]
    async fn a_long_journal_becomes_short_again() {
        for durability in [Durability::Synced, Durability::Buffered] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("leases");
            let (leases, _) = Leases::open::<Ipv4Addr>(&path, durability).expect("a journal");
            let mut keeper = Keeper::start(leases).expect("a thread");
            let many: Vec<_> = (0..100).flat_map(|_| [lease(1), lease(2)]).collect();

            while !keeper.is_crowded() {
                keeper.append(&many);
                keeper.written().await.expect("room");
            }
            keeper.shorten(vec![lease(2)]);
            keeper.written().await.expect("room");
            keeper.append(&[lease(3)]);
            keeper.written().await.expect("room");
            keeper.close().await;

            let restored = Leases::open::<Ipv4Addr>(&path, durability).expect("the journal").1;
            assert_eq!(restored, [lease(2), lease(3)]);
        }
    }

    #[tokio::test]
    async fn leases_are_written_although_the_journal_cannot_be_made_shorter() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("leases");
        let (leases, _) = Leases::open::<Ipv4Addr>(&path, Durability::Buffered).expect("a journal");
        let mut keeper = Keeper::start(leases).expect("a thread");
        std::fs::create_dir(path.with_extension("new")).expect("a folder in the way");
        let many: Vec<_> = (0..100).flat_map(|_| [lease(1), lease(2)]).collect();

        while !keeper.is_crowded() {
            keeper.append(&many);
            keeper.written().await.expect("room");
        }
        keeper.shorten(vec![lease(2)]);
        keeper.written().await.expect("the journal stays long");
        assert!(!keeper.is_crowded(), "it is not tried again and again");
        keeper.append(&[lease(3)]);
        keeper.written().await.expect("room");

        let restored = Leases::open::<Ipv4Addr>(&path, Durability::Buffered).expect("the journal").1;
        assert_eq!(restored.last(), Some(&lease(3)));
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
