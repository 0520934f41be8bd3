//! How many connections each client has, so that one cannot have all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The connections of every client.
pub(crate) struct Crowd {
    limit: usize,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection among its client's; it leaves when dropped.
pub(crate) struct Member {
    client: IpAddr,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Crowd {
    /// Nobody yet, and at most `limit` of one client.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, counts: Arc::default() }
    }

    /// Counts one more connection of this client; nothing, if it has as many as it may.
    pub(crate) fn join(&self, client: IpAddr) -> Option<Member> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(client).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Member { client, counts: self.counts.clone() })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let left = counts.get(&self.client).map_or(0, |count| count - 1);
        if left == 0 {
            counts.remove(&self.client);
        } else {
            counts.insert(self.client, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_as_many_connections_as_it_may_and_no_more() {
        let crowd = Crowd::new(2);
        let (one, other) = (IpAddr::from([10, 77, 0, 10]), IpAddr::from([10, 77, 0, 11]));

        let first = crowd.join(one).expect("the first");
        let _second = crowd.join(one).expect("the second");
        assert!(crowd.join(one).is_none());
        let theirs = crowd.join(other).expect("another client's first");

        drop(first);
        assert!(crowd.join(one).is_some());
        drop(theirs);
        assert_eq!(crowd.counts.lock().expect("no test panics with it").len(), 1);
    }
}
