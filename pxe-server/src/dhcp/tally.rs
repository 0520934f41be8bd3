//! What was ignored, counted by reason.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use pxe_proto::dhcp::Ignored;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// How often something was ignored, by reason.
#[derive(Default)]
pub(super) struct Tally {
    by_reason: BTreeMap<&'static str, Ignorance>,
}

/// How often, and when that was last said aloud.
#[derive(Default)]
struct Ignorance {
    times: u64,
    said: Option<Instant>,
}

/// What only the lab's owner can change is said once in this time, however often it happens.
const REMINDER: Duration = Duration::from_secs(30);

impl Tally {
    /// Counts, and says it aloud where the owner should hear of it.
    pub(super) fn count(&mut self, reason: &Ignored, sender: SocketAddrV4) {
        let ignorance = self.by_reason.entry(reason.kind()).or_default();
        ignorance.times += 1;
        let times = ignorance.times;
        let now = Instant::now();
        if reason.needs_attention() && ignorance.said.is_none_or(|said| now - said >= REMINDER) {
            ignorance.said = Some(now);
            warn!(%reason, %sender, times, "no answer");
        } else {
            debug!(%reason, %sender, times, "ignored");
        }
    }

    /// Says how often what was ignored.
    pub(super) fn say(&self) {
        for (reason, ignorance) in &self.by_reason {
            info!(reason, times = ignorance.times, "ignored");
        }
    }
}
