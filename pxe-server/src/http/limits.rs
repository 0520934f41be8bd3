//! How much of what all clients share a kind of request may take.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Places for requests that take more than a moment. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// For threads that read image files: fewer than the runtime has, because definitions and events need some too, and a
    /// mount that hangs keeps every one that it gets.
    pub(super) reads: Arc<Semaphore>,
    /// For people who follow events: fewer than there may be connections, because machines need those.
    pub(super) followers: Arc<Semaphore>,
}

const READS: usize = 32;
const FOLLOWERS: usize = 32;

impl Limits {
    /// This many places for each.
    pub(super) fn new(reads: usize, followers: usize) -> Self {
        Self { reads: Arc::new(Semaphore::new(reads)), followers: Arc::new(Semaphore::new(followers)) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(READS, FOLLOWERS)
    }
}
