//! What may be done only once its lease is written: group commit.
//!
//! While the disk works on one lot, the next one gathers, and is written with one wait as soon as the disk is free. So the rate
//! of promises grows with the load instead of being one lot for each turn of the disk with an idle processor in between, and a
//! promise that comes alone waits for nobody.

use std::io;

use pxe_proto::dhcp::LeaseRecord;
use serde::Serialize;

use super::Keeper;

/// Promises `P` that wait for their leases.
#[derive(Debug)]
pub(crate) struct Promises<A, P> {
    keeper: Keeper<A>,
    under_way: Kept<A, P>,
    gathered: Kept<A, P>,
}

/// Leases with what they promise, which can be kept once the leases are on disk.
#[derive(Debug)]
pub(crate) struct Kept<A, P> {
    /// In the order in which they were decided.
    pub(crate) leases: Vec<LeaseRecord<A>>,
    /// In the same order.
    pub(crate) promises: Vec<P>,
}

impl<A, P> Default for Kept<A, P> {
    fn default() -> Self {
        Self { leases: Vec::new(), promises: Vec::new() }
    }
}

/// How many may gather. Where the disk cannot keep up with more, clients wait in the socket's queue, whose length the kernel limits.
const ROOM: usize = 512;

impl<A: Clone + Serialize + Send + 'static, P> Promises<A, P> {
    /// None yet; `keeper` writes their leases.
    pub(crate) fn new(keeper: Keeper<A>) -> Self {
        Self { keeper, under_way: Kept::default(), gathered: Kept::default() }
    }

    /// Whether more may gather.
    pub(crate) fn have_room(&self) -> bool {
        self.gathered.leases.len() < ROOM
    }

    /// Has a promise wait for its lease.
    pub(crate) fn add(&mut self, lease: LeaseRecord<A>, promise: P) {
        self.gathered.leases.push(lease);
        self.gathered.promises.push(promise);
    }

    /// Has what gathered written, unless something is under way. `all` is asked for every lease that counts where the journal has
    /// become long: then it is made shorter first.
    pub(crate) fn write(&mut self, all: impl FnOnce() -> Vec<LeaseRecord<A>>) {
        if self.keeper.is_busy() {
            return;
        }
        if self.keeper.is_crowded() {
            self.keeper.shorten(all());
        } else if !self.gathered.leases.is_empty() {
            self.under_way = std::mem::take(&mut self.gathered);
            self.keeper.append(&self.under_way.leases);
        }
    }

    /// Waits until what is under way is done, for ever where that is nothing: what was written can be promised then, if anything
    /// was. Who stops waiting may wait again.
    ///
    /// # Errors
    /// The disk refuses, and nothing of it is promised: how many leases it was about, and why.
    pub(crate) async fn written(&mut self) -> Result<Kept<A, P>, (usize, io::Error)> {
        let written = self.keeper.written().await;
        let kept = std::mem::take(&mut self.under_way);
        match written {
            Ok(()) => Ok(kept),
            Err(error) => Err((kept.leases.len(), error)),
        }
    }

    /// Ends the journal's thread once everything that it was given is on disk. What gathered since was promised to nobody.
    pub(crate) async fn close(self) {
        self.keeper.close().await;
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::Ipv4Addr;
    use std::path::Path;

    use futures_util::FutureExt;
    use lab_model::MacAddr;
    use pxe_proto::dhcp::{LeaseState, UnixSeconds};

    use super::*;
    use crate::config::Durability;
    use crate::leases::Leases;
    use crate::leases::keeper::Orders;

    #[test]
    fn what_gathers_while_the_disk_works_is_written_with_one_wait() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("leases");
        let (mut waiting, mut orders) = waiting(&path);
        let kept = || Leases::open::<Ipv4Addr>(&path, Durability::Synced).expect("the journal").1;

        waiting.add(lease(1), "first");
        waiting.write(Vec::new);
        waiting.add(lease(2), "second");
        waiting.write(Vec::new);
        waiting.add(lease(3), "third");
        waiting.write(Vec::new);

        assert!(waiting.have_room());
        assert!(waiting.written().now_or_never().is_none(), "nothing is promised before it is written");
        orders.next().expect("an order").carry_out();
        assert_eq!(promised(&mut waiting), ["first"]);
        assert_eq!(kept(), [lease(1)]);
        assert!(waiting.written().now_or_never().is_none(), "nothing is under way");
        waiting.write(Vec::new);
        orders.next().expect("an order").carry_out();
        assert_eq!(promised(&mut waiting), ["second", "third"]);
        assert_eq!(kept(), [lease(1), lease(2), lease(3)]);
    }

    #[test]
    fn what_the_disk_refuses_is_not_promised_and_holds_nothing_else_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("leases");
        let (mut waiting, mut orders) = waiting(&path);

        waiting.add(lease(1), "first");
        waiting.write(Vec::new);
        let mut order = orders.next().expect("an order");
        let read_only = File::open(&path).expect("the journal, to read");
        let writable = std::mem::replace(&mut order.journal.file, read_only);
        order.carry_out();
        let (leases, _) = waiting.written().now_or_never().expect("an answer").expect_err("read-only");
        waiting.add(lease(2), "second");
        waiting.write(Vec::new);
        let mut order = orders.next().expect("an order");
        order.journal.file = writable;
        order.carry_out();

        assert_eq!(leases, 1);
        assert_eq!(promised(&mut waiting), ["second"]);
    }

    #[test]
    fn no_more_gather_than_there_is_room_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut waiting, _orders) = waiting::<()>(&folder.path().join("leases"));

        while waiting.have_room() {
            waiting.add(lease(1), ());
        }

        assert_eq!(waiting.gathered.promises.len(), ROOM);
    }

    fn waiting<P>(path: &Path) -> (Promises<Ipv4Addr, P>, Orders<Ipv4Addr>) {
        let (journal, _) = Leases::open::<Ipv4Addr>(path, Durability::Synced).expect("a journal");
        let (keeper, orders) = Keeper::pair(journal);
        (Promises::new(keeper), orders)
    }

    fn promised(waiting: &mut Promises<Ipv4Addr, &'static str>) -> Vec<&'static str> {
        waiting.written().now_or_never().expect("an answer").expect("room").promises
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
