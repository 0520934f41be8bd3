//! Connections on which nothing was asked yet: where there is no place left, the oldest of them gives way.
//!
//! So whoever opens connections and says nothing keeps nobody out. One that has asked once is left alone: its client is known to
//! be there, and may be in the middle of an image.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// All of them, in the order in which they came. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Silent(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    joined: u64,
    connections: BTreeMap<u64, CancellationToken>,
}

/// One connection; it is no longer among them when it asks, or when this is dropped.
#[derive(Debug)]
pub(super) struct Newcomer {
    number: u64,
    dismissal: CancellationToken,
    silent: Silent,
}

impl Silent {
    /// Adds one.
    pub(super) fn join(&self) -> Newcomer {
        let mut waiting = self.lock();
        let (number, dismissal) = (waiting.joined, CancellationToken::new());
        waiting.joined += 1;
        waiting.connections.insert(number, dismissal.clone());
        Newcomer { number, dismissal, silent: self.clone() }
    }

    /// Has the oldest end, if there is any.
    pub(super) fn dismiss_oldest(&self) {
        if let Some((_, dismissal)) = self.lock().connections.pop_first() {
            dismissal.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Newcomer {
    /// Something was asked: from now on it stays.
    pub(super) fn ask(&self) {
        self.silent.lock().connections.remove(&self.number);
    }

    /// Ends when this connection has to.
    pub(super) fn dismissed(&self) -> impl Future<Output = ()> + use<> {
        self.dismissal.clone().cancelled_owned()
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.ask();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_has_asked_nothing_gives_way() {
        let silent = Silent::default();
        let [asking, gone, oldest, youngest] = [(); 4].map(|()| silent.join());
        asking.ask();
        drop(gone);

        silent.dismiss_oldest();

        let dismissed = [&asking, &oldest, &youngest].map(|newcomer| newcomer.dismissal.is_cancelled());
        assert_eq!(dismissed, [false, true, false]);
    }

    #[test]
    fn nobody_gives_way_where_all_have_asked() {
        let silent = Silent::default();
        let asking = silent.join();
        asking.ask();

        silent.dismiss_oldest();

        assert!(!asking.dismissal.is_cancelled());
    }
}
