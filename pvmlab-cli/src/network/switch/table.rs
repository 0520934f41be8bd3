//! Which hardware address is behind which port: learnt from the frames that machines send.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lab_model::MacAddr;

/// A port's number; none is used twice while the switch runs.
pub(crate) type PortId = u64;

/// What the switch has learnt, bounded for each port: a machine that invents addresses forgets its own, nobody else's.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: BTreeMap<MacAddr, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    port: PortId,
    seen: Instant,
}

impl Table {
    /// Notes that `source` sent a frame by `port`.
    pub(crate) fn learn(&mut self, source: MacAddr, port: PortId, now: Instant) {
        // A group address sends nothing: IEEE 802.1D §7.8 learns from individual addresses only.
        if !source.is_unicast() {
            return;
        }
        let known = self.entries.get(&source).is_some_and(|entry| entry.port == port);
        if !known {
            self.make_room(port);
        }
        self.entries.insert(source, Entry { port, seen: now });
    }

    /// The port that leads to `destination`; `None`: all of them.
    pub(crate) fn port_of(&self, destination: MacAddr, now: Instant) -> Option<PortId> {
        let entry = self.entries.get(&destination)?;
        (now.duration_since(entry.seen) < MAX_AGE).then_some(entry.port)
    }

    /// Forgets what was behind a port.
    pub(crate) fn forget(&mut self, port: PortId) {
        self.entries.retain(|_, entry| entry.port != port);
    }

    fn make_room(&mut self, port: PortId) {
        let of_port = || self.entries.iter().filter(|(_, entry)| entry.port == port);
        if of_port().count() >= MAX_OF_PORT
            && let Some((&oldest, _)) = of_port().min_by_key(|(_, entry)| entry.seen)
        {
            self.entries.remove(&oldest);
        }
    }
}

/// More than a machine with containers or machines of its own has.
const MAX_OF_PORT: usize = 256;

/// IEEE 802.1D §7.9.2 recommends it.
const MAX_AGE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sent_is_found_behind_its_port() {
        let now = Instant::now();
        let mut table = Table::default();

        table.learn(mac(1), 7, now);

        assert_eq!(table.port_of(mac(1), now), Some(7));
        assert_eq!(table.port_of(mac(2), now), None);
    }

    #[test]
    fn who_moves_is_found_at_the_new_port() {
        let now = Instant::now();
        let mut table = Table::default();

        table.learn(mac(1), 7, now);
        table.learn(mac(1), 8, now);
        table.forget(7);

        assert_eq!(table.port_of(mac(1), now), Some(8));
    }

    #[test]
    fn a_group_address_is_not_learnt() {
        let now = Instant::now();
        let mut table = Table::default();

        table.learn(MacAddr::new([0xff; 6]), 7, now);

        assert_eq!(table.port_of(MacAddr::new([0xff; 6]), now), None);
    }

    #[test]
    fn who_was_silent_for_long_is_forgotten() {
        let now = Instant::now();
        let mut table = Table::default();

        table.learn(mac(1), 7, now);

        assert_eq!(table.port_of(mac(1), now + MAX_AGE), None);
    }

    #[test]
    fn who_invents_addresses_loses_only_its_own() {
        let now = Instant::now();
        let mut table = Table::default();
        table.learn(mac(60_000), 1, now);

        for (at, last) in (0..10_000).enumerate() {
            table.learn(mac(last), 2, now + Duration::from_micros(u64::try_from(at).expect("small")));
        }

        assert_eq!(table.entries.len(), 1 + MAX_OF_PORT);
        assert_eq!(table.port_of(mac(60_000), now), Some(1));
        assert_eq!(table.port_of(mac(9_999), now), Some(2));
    }

    fn mac(last: u16) -> MacAddr {
        let [high, low] = last.to_be_bytes();
        MacAddr::new([0x52, 0x54, 0, 0, high, low])
    }
}
