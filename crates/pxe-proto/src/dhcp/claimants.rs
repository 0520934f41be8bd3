//! Hosts that say of addresses that they are theirs, and how far they are believed.
//!
//! A host that answers for every address would have the whole pool on probation: some routers with proxy ARP (RFC 1027) do, though not
//! Linux, which answers a probe for its own addresses alone. So a host's word counts for a few addresses at a time, and then for none.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use lab_model::MacAddr;

use super::UnixSeconds;

/// Who said lately of which addresses that they are theirs, and when.
///
/// An address that somebody is believed about is on probation for as long, so there are no more hosts here than addresses; and of
/// each no more addresses than one beyond [`MOST`].
#[derive(Debug, Default)]
pub(super) struct Claimants {
    by_mac: BTreeMap<MacAddr, BTreeMap<Ipv4Addr, UnixSeconds>>,
}

/// What a host's word is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It has the address.
    Believed,
    /// It says so of more addresses than one host has; until now it was believed.
    DoubtedFromNowOn,
    /// It does so still.
    Doubted,
}

/// More addresses of machines than one host has that nobody gave them to: a card with a few aliases has less.
pub(super) const MOST: usize = 8;

impl Claimants {
    /// Takes note of what a host says of an address; what it said longer ago than `memory` is forgotten.
    pub(super) fn hear(&mut self, holder: MacAddr, address: Ipv4Addr, memory: Duration, now: UnixSeconds) -> Word {
        self.by_mac.retain(|_, claims| {
            claims.retain(|_, said| said.0 + memory.as_secs() > now.0);
            !claims.is_empty()
        });
        let claims = self.by_mac.entry(holder).or_default();
        let was_doubted = claims.len() > MOST;
        if was_doubted && !claims.contains_key(&address) {
            let oldest = claims.iter().min_by_key(|(_, said)| **said).map(|(address, _)| *address);
            oldest.map(|oldest| claims.remove(&oldest));
        }
        claims.insert(address, now);
        match claims.len() > MOST {
            false => Word::Believed,
            true if was_doubted => Word::Doubted,
            true => Word::DoubtedFromNowOn,
        }
    }

    /// The hosts whose word does not count, as far as is known since somebody said something last.
    pub(super) fn doubted(&self) -> impl Iterator<Item = MacAddr> {
        self.by_mac.iter().filter(|(_, claims)| claims.len() > MOST).map(|(holder, _)| *holder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_believed_about_a_few_addresses_at_a_time() {
        let mut claimants = Claimants::default();
        let mut hear = |last, second| claimants.hear(HOST, host(last), MEMORY, UnixSeconds(second));

        assert!((1..=8).all(|last| hear(last, 0) == Word::Believed));
        assert_eq!(hear(8, 1), Word::Believed, "it has said so before");
        assert_eq!(hear(9, 2), Word::DoubtedFromNowOn);
        assert!((0..=255).all(|last| hear(last, 3) == Word::Doubted));
        assert!(claimants.by_mac[&HOST].len() == MOST + 1);
        assert_eq!(claimants.doubted().collect::<Vec<_>>(), [HOST]);
        assert_eq!(claimants.hear(HOST, host(1), MEMORY, UnixSeconds(603)), Word::Believed, "all else is long ago");
    }

    #[test]
    fn others_are_believed_meanwhile() {
        let mut claimants = Claimants::default();
        for last in 0..=255 {
            claimants.hear(HOST, host(last), MEMORY, UnixSeconds(0));
        }

        let other = MacAddr::new([2, 0, 0, 0, 0, 2]);

        assert_eq!(claimants.hear(other, host(1), MEMORY, UnixSeconds(0)), Word::Believed);
        claimants.hear(other, host(1), MEMORY, UnixSeconds(600));
        assert_eq!(claimants.by_mac.len(), 1, "who is silent is forgotten");
    }

    const HOST: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
    const MEMORY: Duration = Duration::from_secs(600);

    fn host(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, last)
    }
}
