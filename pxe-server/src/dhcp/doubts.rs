//! Hosts on the lab's link that say of very many addresses that they are their own: not believed, and told to the owner.

use std::collections::BTreeMap;
use std::time::Duration;

use lab_model::MacAddr;
use tokio::sync::watch;
use tokio::time::Instant;

/// Those that were heard, and when last; clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubts {
    heard: watch::Sender<BTreeMap<MacAddr, Instant>>,
}

/// How long a host counts after it was heard.
const MEMORY: Duration = Duration::from_secs(3600);
/// More are somebody's invention.
const MOST: usize = 16;

impl Doubts {
    /// Those that were heard lately.
    pub(crate) fn known(&self) -> Vec<MacAddr> {
        let heard = self.heard.borrow();
        heard.iter().filter(|(_, heard)| heard.elapsed() < MEMORY).map(|(host, _)| *host).collect()
    }

    /// Takes note of one that is heard now.
    pub(super) fn note(&self, host: MacAddr) {
        let now = Instant::now();
        self.heard.send_modify(|all| {
            all.retain(|_, heard| now - *heard < MEMORY);
            if all.len() < MOST || all.contains_key(&host) {
                all.insert(host, now);
            }
        });
    }
}
