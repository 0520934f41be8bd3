//! How often each client may ask.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A bound on every client's questions: as many a second as it says, and one second's worth at once.
///
/// Of each client one moment is kept: when all that it asked would have been due at an even pace (the generic cell rate
/// algorithm, ITU-T I.371). Whose moment has passed is as good as new, so nothing is kept of clients that are quiet.
#[derive(Debug)]
pub(super) struct Rates {
    pace: Duration,
    due: BTreeMap<IpAddr, Instant>,
    /// When room was last made among too many.
    swept: Option<Instant>,
}

/// How many clients are told apart in one second; more than a lab has addresses are made up.
const CLIENTS: usize = 4096;

/// What a client may be ahead of its pace.
const AHEAD: Duration = Duration::from_secs(1);

/// How often room is made at most: it takes a look at everyone.
const SWEEP: Duration = Duration::from_millis(100);

impl Rates {
    pub(super) fn new(queries_per_second: u32) -> Self {
        Self { pace: pace(queries_per_second), due: BTreeMap::new(), swept: None }
    }

    /// Bounds every client by this from now on.
    pub(super) fn set(&mut self, queries_per_second: u32) {
        self.pace = pace(queries_per_second);
    }

    /// Whether this client may ask now; if so, it has.
    pub(super) fn admit(&mut self, client: IpAddr, now: Instant) -> bool {
        if self.due.len() >= CLIENTS && !self.due.contains_key(&client) {
            if self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP) {
                self.swept = Some(now);
                self.due.retain(|_, due| *due > now);
            }
            if self.due.len() >= CLIENTS {
                return false;
            }
        }
        let due = self.due.entry(client).or_insert(now);
        let next = (*due).max(now) + self.pace;
        if next > now + AHEAD {
            return false;
        }
        *due = next;
        true
    }
}

fn pace(queries_per_second: u32) -> Duration {
    AHEAD / queries_per_second.max(1)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::dns::tests::epoch;

    #[test]
    fn a_client_has_one_seconds_worth_at_once_and_then_its_pace() {
        let (mut rates, now) = (Rates::new(10), epoch());
        let mut asked = |client, after| (0..100).filter(|_| rates.admit(host(client), now + after)).count();

        assert_eq!(asked(1, Duration::ZERO), 10);
        assert_eq!(asked(2, Duration::ZERO), 10);
        assert_eq!(asked(1, Duration::from_millis(300)), 3);
        assert_eq!(asked(1, Duration::from_secs(60)), 10);
    }

    #[test]
    fn more_clients_than_a_lab_has_do_not_fill_the_memory() {
        let (mut rates, now) = (Rates::new(1), epoch());
        let crowd = (0..10_000).map(host);

        let admitted = crowd.filter(|client| rates.admit(*client, now)).count();

        assert_eq!((admitted, rates.due.len()), (CLIENTS, CLIENTS));
        assert!(rates.admit(host(9_999), now + AHEAD));
        assert_eq!(rates.due.len(), 1);
    }

    fn host(last: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a4d_0000 + last).into()
    }
}
