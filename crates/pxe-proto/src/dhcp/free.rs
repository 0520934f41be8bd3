//! The addresses of the pool that nobody has ever had, as ranges: a /8 costs no more than a /30.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::Address;

/// A set of addresses, kept as ranges that neither overlap nor touch: the first of each, with its last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FreeAddresses {
    ranges: BTreeMap<u128, u128>,
}

impl FreeAddresses {
    /// All addresses of these ranges, which may overlap; one whose end comes before its start has none.
    pub(super) fn new<A: Address>(ranges: impl IntoIterator<Item = RangeInclusive<A>>) -> Self {
        let bits = |range: RangeInclusive<A>| (range.start().number(), range.end().number());
        let mut sorted: Vec<_> = ranges.into_iter().map(bits).filter(|(first, last)| first <= last).collect();
        sorted.sort_unstable();
        let mut merged = BTreeMap::<u128, u128>::new();
        for (first, last) in sorted {
            match merged.last_entry() {
                Some(mut before) if first <= before.get().saturating_add(1) => {
                    let end = before.get_mut();
                    *end = last.max(*end);
                }
                _ => drop(merged.insert(first, last)),
            }
        }
        Self { ranges: merged }
    }

    /// The ranges, in order.
    pub(super) fn ranges<A: Address>(&self) -> impl Iterator<Item = RangeInclusive<A>> {
        self.ranges.iter().map(|(first, last)| A::numbered(*first)..=A::numbered(*last))
    }

    /// Takes the address out, where it is in.
    pub(super) fn take(&mut self, address: impl Address) {
        let bits = address.number();
        let Some((&first, &last)) = self.ranges.range(..=bits).next_back() else { return };
        if bits > last {
            return;
        }
        if first == bits {
            self.ranges.remove(&first);
        } else {
            self.ranges.insert(first, bits - 1);
        }
        if bits < last {
            self.ranges.insert(bits + 1, last);
        }
    }

    /// Takes out those of the range that are in.
    pub(super) fn take_range(&mut self, range: &RangeInclusive<impl Address>) {
        let (first, last) = (range.start().number(), range.end().number());
        let before = self.ranges.range(..=last).rev().map(|(first, last)| (*first, *last));
        let touched: Vec<_> = before.take_while(|(_, end)| *end >= first).collect();
        for (start, end) in touched {
            self.ranges.remove(&start);
            if start < first {
                self.ranges.insert(start, first - 1);
            }
            if end > last {
                self.ranges.insert(last + 1, end);
            }
        }
    }

    /// Puts the address in.
    pub(super) fn put(&mut self, address: impl Address) {
        let bits = address.number();
        let before = self.ranges.range(..=bits).next_back().map(|(&first, &last)| (first, last));
        if before.is_some_and(|(_, last)| last >= bits) {
            return;
        }
        let first = before.filter(|(_, last)| last + 1 == bits).map_or(bits, |(first, _)| first);
        let last = bits.checked_add(1).and_then(|next| self.ranges.remove(&next)).unwrap_or(bits);
        self.ranges.insert(first, last);
    }

    /// The first address from this one on, beginning again at the lowest after the highest; `None` if there is none.
    pub(super) fn next_from<A: Address>(&self, address: A) -> Option<A> {
        let bits = address.number();
        let around = self.ranges.range(..=bits).next_back().filter(|(_, last)| **last >= bits).map(|_| bits);
        let after = || self.ranges.range(bits..).next().map(|(&first, _)| first);
        let lowest = || self.ranges.keys().next().copied();
        around.or_else(after).or_else(lowest).map(A::numbered)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_whole_address_space_is_one_range() {
        let mut free = FreeAddresses::new([Ipv4Addr::UNSPECIFIED..=Ipv4Addr::BROADCAST]);

        free.take(Ipv4Addr::BROADCAST);
        free.take(Ipv4Addr::UNSPECIFIED);
        free.take(Ipv4Addr::new(10, 0, 0, 0));

        assert_eq!(free.next_from(Ipv4Addr::BROADCAST), Some(Ipv4Addr::new(0, 0, 0, 1)));
        assert_eq!(free.next_from(Ipv4Addr::new(10, 0, 0, 0)), Some(Ipv4Addr::new(10, 0, 0, 1)));
        free.put(Ipv4Addr::BROADCAST);
        free.put(Ipv4Addr::UNSPECIFIED);
        free.put(Ipv4Addr::new(10, 0, 0, 0));
        assert_eq!(free, FreeAddresses::new([Ipv4Addr::UNSPECIFIED..=Ipv4Addr::BROADCAST]));
    }

    #[test]
    fn the_last_ipv6_address_has_no_next() {
        let all = Ipv6Addr::UNSPECIFIED..=Ipv6Addr::from_bits(u128::MAX);
        let mut free = FreeAddresses::new([all.clone()]);

        free.take(*all.end());
        free.take(*all.start());
        assert_eq!(free.next_from(*all.end()), Some(Ipv6Addr::LOCALHOST));
        free.put(*all.end());
        free.put(*all.start());

        assert_eq!(free, FreeAddresses::new([all]));
    }

    proptest! {
        #[test]
        fn is_the_same_as_a_set_of_addresses(steps in prop::collection::vec((any::<bool>(), 0_u32..40), 0..120)) {
            let mut free = FreeAddresses::new([Ipv4Addr::from_bits(10)..=Ipv4Addr::from_bits(30)]);
            let mut model: BTreeSet<u32> = (10..=30).collect();

            for (put, bits) in steps {
                if put {
                    free.put(Ipv4Addr::from_bits(bits));
                    model.insert(bits);
                } else {
                    free.take(Ipv4Addr::from_bits(bits));
                    model.remove(&bits);
                }
                let expected = model.range(bits..).next().or_else(|| model.first()).copied();
                prop_assert_eq!(free.next_from(Ipv4Addr::from_bits(bits)), expected.map(Ipv4Addr::from_bits));
                let touching = free.ranges.values().any(|last| free.ranges.contains_key(&(last + 1)));
                prop_assert!(!touching, "{free:?}");
            }
        }
    }
}
