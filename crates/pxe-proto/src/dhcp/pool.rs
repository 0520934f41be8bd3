//! A pool: the addresses for clients that have none reserved, in as many ranges as there are.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use lab_model::MacAddr;

use super::free::FreeAddresses;
use super::{Address, UnixSeconds};

/// The addresses of a pool, and which of them can be given next.
///
/// An address that can be given at all is in one of two places: in `free` while there is no record of it, else in `ending`.
#[derive(Debug)]
pub(super) struct Pool<A> {
    /// In order; they neither overlap nor touch.
    ranges: Vec<RangeInclusive<A>>,
    free: FreeAddresses,
    ending: BTreeSet<(UnixSeconds, A)>,
}

impl<A: Address> Pool<A> {
    /// The addresses of these ranges that are among `hosts` and in none of the other pools, all of them free.
    pub(super) fn new(ranges: &[RangeInclusive<A>], hosts: &RangeInclusive<A>, others: &[Self]) -> Self {
        let clipped = ranges.iter().map(|range| *range.start().max(hosts.start())..=*range.end().min(hosts.end()));
        let mut free = FreeAddresses::new(clipped);
        others.iter().flat_map(|other| &other.ranges).for_each(|range| free.take_range(range));
        Self { ranges: free.ranges().collect(), free, ending: BTreeSet::new() }
    }

    /// Whether the address is one of the pool's.
    pub(super) fn contains(&self, address: A) -> bool {
        let after = self.ranges.partition_point(|range| *range.start() <= address);
        after.checked_sub(1).is_some_and(|at| self.ranges[at].contains(&address))
    }

    /// Whether it has no address at all.
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Puts in an address that there is no record of.
    pub(super) fn free(&mut self, address: A) {
        self.free.put(address);
    }

    /// Puts in an address whose record ends then.
    pub(super) fn end(&mut self, expires: UnixSeconds, address: A) {
        self.ending.insert((expires, address));
    }

    /// Takes the address out, whatever its record says.
    pub(super) fn take(&mut self, address: A, expires: Option<UnixSeconds>) {
        match expires {
            Some(expires) => drop(self.ending.remove(&(expires, address))),
            None => self.free.take(address),
        }
    }

    /// Has the address end at another time, if it is one of those that end.
    pub(super) fn move_end(&mut self, before: UnixSeconds, after: UnixSeconds, address: A) {
        if self.ending.remove(&(before, address)) {
            self.ending.insert((after, address));
        }
    }

    /// An address that nobody has had yet: the same for the same machine, as far as possible.
    pub(super) fn unused(&self, mac: MacAddr) -> Option<A> {
        let sizes = self.ranges.iter().map(|range| (range.start().number(), size(range)));
        let all = sizes.clone().fold(0_u128, |all, (_, size)| all.saturating_add(size));
        let mut at = u128::from(spread(mac)).checked_rem(all)?;
        for (first, size) in sizes {
            match at.checked_sub(size) {
                Some(beyond) => at = beyond,
                None => return self.free.next_from(A::numbered(first + at)),
            }
        }
        None
    }

    /// The address whose record ends first, or has ended first.
    pub(super) fn first_to_end(&self) -> Option<A> {
        self.ending.first().map(|(_, address)| *address)
    }
}

fn size(range: &RangeInclusive<impl Address>) -> u128 {
    (range.end().number() - range.start().number()).saturating_add(1)
}

/// A number that is the same for the same machine and unlike for neighbouring hardware addresses (FNV-1a, 64 bits).
fn spread(mac: MacAddr) -> u64 {
    mac.bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn several_ranges_are_one_pool() {
        let pool = Pool::new(&[range(20, 22), range(10, 11), range(21, 23), range(250, 255)], &range(1, 254), &[]);

        assert_eq!(pool.ranges, [range(10, 11), range(20, 23), range(250, 254)]);
        let has = |last: u8| pool.contains(host(last));
        assert_eq!((0..=255).filter(|last| has(*last)).count(), 2 + 4 + 5);
        assert!(has(10) && has(23) && !has(9) && !has(12) && !has(24) && !has(255));
    }

    #[test]
    fn two_pools_have_no_address_in_common() {
        let hosts = range(1, 254);
        let first = Pool::new(&[range(10, 19), range(30, 39)], &hosts, &[]);

        let second = Pool::new(&[range(5, 12), range(14, 15), range(18, 31), range(50, 50)], &hosts, &[first]);

        assert_eq!(second.ranges, [range(5, 9), range(20, 29), range(50, 50)]);
    }

    #[test]
    fn every_address_of_every_range_is_given() {
        let mut pool = Pool::new(&[range(10, 11), range(20, 23)], &range(1, 254), &[]);
        let mut given = BTreeSet::new();

        while let Some(address) = pool.unused(MacAddr::new([2, 0, 0, 0, 0, given.len() as u8])) {
            pool.take(address, None);
            given.insert(address);
        }

        assert_eq!(given.len(), 6);
        assert!(given.iter().all(|address| pool.contains(*address)));
        assert_eq!(Pool::<Ipv4Addr>::new(&[], &range(1, 254), &[]).unused(MacAddr::new([2; 6])), None);
    }

    #[test]
    fn a_pool_may_be_all_there_is() {
        let all = Ipv6Addr::UNSPECIFIED..=Ipv6Addr::from_bits(u128::MAX);

        let pool = Pool::new(std::slice::from_ref(&all), &all, &[]);

        assert!(pool.contains(*all.end()) && pool.unused(MacAddr::new([2; 6])).is_some());
    }

    fn range(first: u8, last: u8) -> RangeInclusive<Ipv4Addr> {
        host(first)..=host(last)
    }

    fn host(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, last)
    }
}
