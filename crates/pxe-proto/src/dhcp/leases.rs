//! Who has which address: leases, offers and addresses on probation, by address and by machine.
//!
//! Every step takes time logarithmic in the number of clients, whatever the pool's size. What is kept is bounded by the
//! pool and the reservations: a client that was never given an address leaves nothing behind.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::time::Duration;

use lab_model::{MacAddr, MachineName};

use super::pool::Pool;
use super::{Address, LeaseRecord, LeaseState, Refusal, UnixSeconds};

/// All that is known of one subnet's addresses.
///
/// An address of a pool that is neither the server's, nor the router's, nor reserved is in its [`Pool`] one of those that can
/// be given some time.
#[derive(Debug)]
pub(crate) struct Leases<A> {
    hosts: RangeInclusive<A>,
    server: A,
    router: Option<A>,
    /// First those of the classes, in their order; last the one for everybody.
    pools: Vec<Pool<A>>,
    reserved: BTreeSet<A>,
    /// Both are hash tables, because each request looks there several times; nobody sees their order.
    by_address: HashMap<A, LeaseRecord<A>>,
    by_mac: HashMap<MacAddr, Held<A>>,
    clock: UnixSeconds,
}

/// What one machine has: two addresses while it moves from one to the other, as it does when its reservation changes.
#[derive(Clone, Copy, Debug)]
struct Held<A> {
    lease: Option<A>,
    offer: Option<A>,
}

impl<A> Default for Held<A> {
    fn default() -> Self {
        Self { lease: None, offer: None }
    }
}

impl<A: Address> Leases<A> {
    /// No lease, and no reservation, in a network of these hosts with these pools. Neither the server nor the router, if it is another
    /// host, is anybody's.
    pub(crate) fn new<'a>(
        hosts: RangeInclusive<A>,
        ranges: impl Iterator<Item = &'a [RangeInclusive<A>]>,
        server: A,
        router: Option<A>,
    ) -> Self
    where
        A: 'a,
    {
        let mut pools = Vec::new();
        for ranges in ranges {
            let mut pool = Pool::new(ranges, &hosts, &pools);
            [Some(server), router].into_iter().flatten().for_each(|taken| pool.take(taken, None));
            pools.push(pool);
        }
        Self {
            hosts,
            server,
            router,
            pools,
            reserved: BTreeSet::new(),
            by_address: HashMap::new(),
            by_mac: HashMap::new(),
            clock: UnixSeconds::default(),
        }
    }

    /// Goes on to this moment.
    ///
    /// A clock that was set back would make every lease last longer by as much, and the pool run out: what was granted
    /// in what is now the future counts from now.
    pub(crate) fn advance(&mut self, now: UnixSeconds) {
        if now < self.clock {
            for (address, record) in &mut self.by_address {
                if record.granted <= now {
                    continue;
                }
                let before = record.expires;
                record.expires = UnixSeconds(now.0.saturating_add(before.0.saturating_sub(record.granted.0)));
                record.granted = now;
                self.pools.iter_mut().for_each(|pool| pool.move_end(before, record.expires, *address));
            }
        }
        self.clock = now;
    }

    /// The moment of the last step.
    pub(crate) fn clock(&self) -> UnixSeconds {
        self.clock
    }

    /// Keeps these addresses for the machines that they are reserved for. Who has one of them keeps it until its lease ends.
    pub(crate) fn reserve(&mut self, reserved: BTreeSet<A>) {
        let before = std::mem::replace(&mut self.reserved, reserved);
        let changed: Vec<_> = before.symmetric_difference(&self.reserved).copied().collect();
        for address in changed {
            let expires = self.by_address.get(&address).map(|record| record.expires);
            self.take(address, expires);
            self.give(address, expires);
        }
        let stale = |record: &&LeaseRecord<A>| {
            let address = record.address;
            !record.is_active(self.clock) && !self.is_in_pool(address) && !self.is_reserved(address)
        };
        let stale: Vec<_> = self.by_address.values().filter(stale).map(|record| record.address).collect();
        for address in stale {
            self.forget(address);
        }
    }

    /// Whether a host of the network other than the server can have the address.
    pub(crate) fn is_clients(&self, address: A) -> bool {
        self.hosts.contains(&address) && address != self.server
    }

    /// Whether some pool has the address, for whomever.
    pub(crate) fn is_in_pool(&self, address: A) -> bool {
        self.pool_of(address).is_some()
    }

    /// Whether the client can have the address from a pool: one that is for everybody or for a class of its own, or that
    /// it has the address from. One machine is of several classes within a minute, as firmware and as operating system.
    pub(crate) fn is_admitted(&self, address: A, mac: MacAddr, classes: &[usize]) -> bool {
        let own = [self.leased(mac), self.offered(mac)].contains(&Some(address));
        self.pool_of(address).is_some_and(|pool| own || pool == self.pools.len() - 1 || classes.contains(&pool))
    }

    /// Whether there is any pool for a client of these classes.
    pub(crate) fn has_pool(&self, classes: &[usize]) -> bool {
        classes.iter().filter_map(|class| self.pools.get(*class)).chain(self.pools.last()).any(|pool| !pool.is_empty())
    }

    fn pool_of(&self, address: A) -> Option<usize> {
        let is_taken = address == self.server || Some(address) == self.router;
        self.pools.iter().position(|pool| pool.contains(address)).filter(|_| !is_taken)
    }

    /// Whether the address is reserved for some machine.
    pub(crate) fn is_reserved(&self, address: A) -> bool {
        self.reserved.contains(&address)
    }

    /// Whether there is any record of the machine.
    pub(crate) fn knows(&self, mac: MacAddr) -> bool {
        self.by_mac.contains_key(&mac)
    }

    /// The address that was leased to the machine last, whether or not the lease has ended.
    pub(crate) fn leased(&self, mac: MacAddr) -> Option<A> {
        self.by_mac.get(&mac)?.lease
    }

    /// The address that was offered to the machine last, if it has not asked for it yet.
    pub(crate) fn offered(&self, mac: MacAddr) -> Option<A> {
        self.by_mac.get(&mac)?.offer
    }

    /// Whether the machine's own lease of this address has not ended yet.
    pub(crate) fn is_leased(&self, address: A, mac: MacAddr) -> bool {
        let record = self.by_address.get(&address).filter(|record| record.mac == mac);
        record.is_some_and(|record| record.state == LeaseState::Bound && record.is_active(self.clock))
    }

    /// Whether nobody but the machine has the address now.
    ///
    /// An offer of an address that has been reserved since is void: it can be taken from whom it was made to.
    pub(crate) fn vacant(&self, address: A, mac: MacAddr) -> Result<(), Refusal<A>> {
        let Some(record) = self.by_address.get(&address).filter(|record| record.is_active(self.clock)) else {
            return Ok(());
        };
        match record.state {
            LeaseState::Declined => Err(Refusal::OnProbation),
            LeaseState::Offered if self.is_reserved(address) => Ok(()),
            LeaseState::Offered | LeaseState::Bound | LeaseState::Released if record.mac == mac => Ok(()),
            LeaseState::Offered | LeaseState::Bound | LeaseState::Released => Err(Refusal::Taken),
        }
    }

    /// An address of everybody's pool for a machine that has none: one that nobody had yet, the same for the same machine as far
    /// as possible, else the one that has been out of use for longest.
    ///
    /// The order also guards against a clock that was set forward, by which leases seem to have ended that have not.
    pub(crate) fn pick(&self, mac: MacAddr) -> Option<A> {
        self.pick_from(self.pools.last()?, mac)
    }

    /// The same, of the pools for these classes alone.
    pub(crate) fn pick_of_class(&self, mac: MacAddr, classes: &[usize]) -> Option<A> {
        let pools = classes.iter().filter_map(|class| self.pools.get(*class));
        pools.into_iter().find_map(|pool| self.pick_from(pool, mac))
    }

    fn pick_from(&self, pool: &Pool<A>, mac: MacAddr) -> Option<A> {
        pool.unused(mac).or_else(|| {
            let address = pool.first_to_end()?;
            self.by_address.get(&address).filter(|record| !record.is_active(self.clock))?;
            Some(address)
        })
    }

    /// Keeps the address for the machine until it asks for it.
    pub(crate) fn offer(&mut self, mac: MacAddr, address: A, hold: Duration) {
        let expires = self.clock.after(hold);
        if self.offered(mac).is_some_and(|other| other != address) {
            self.withdraw(mac);
        }
        let record = match self.by_address.get(&address) {
            Some(record) if self.is_leased(address, mac) => {
                LeaseRecord { expires: record.expires.max(expires), ..record.clone() }
            }
            _ => LeaseRecord { mac, address, state: LeaseState::Offered, granted: self.clock, expires, hostname: None },
        };
        self.put(record);
    }

    /// Takes back what was offered to the machine, because it wants something else.
    pub(crate) fn withdraw(&mut self, mac: MacAddr) {
        if let Some(address) = self.offered(mac) {
            self.forget(address);
        }
    }

    /// Ends whatever the machine has, because it has something elsewhere.
    pub(crate) fn leave(&mut self, mac: MacAddr) {
        self.withdraw(mac);
        if let Some(address) = self.leased(mac) {
            self.forget(address);
        }
    }

    /// Leases the address to the machine, and ends what else it had. What it does not call itself now, as when its firmware
    /// asks, it calls itself as before.
    pub(crate) fn bind(
        &mut self,
        mac: MacAddr,
        address: A,
        hostname: Option<MachineName>,
        lease: Duration,
    ) -> LeaseRecord<A> {
        let (granted, expires) = (self.clock, self.clock.after(lease));
        let before = self.by_address.get(&address).filter(|record| record.mac == mac);
        let hostname = hostname.or_else(|| before?.hostname.clone());
        let record = LeaseRecord { mac, address, state: LeaseState::Bound, granted, expires, hostname };
        self.replace(record.clone());
        record
    }

    /// Ends the machine's lease; `None` where it has none of this address.
    pub(crate) fn release(&mut self, mac: MacAddr, address: A) -> Option<LeaseRecord<A>> {
        if !self.is_leased(address, mac) {
            return None;
        }
        let before = self.by_address.get(&address)?.clone();
        let (granted, expires) = (self.clock, self.clock);
        let record = LeaseRecord { state: LeaseState::Released, granted, expires, ..before };
        self.put(record.clone());
        Some(record)
    }

    /// Puts the address that the machine has, or was offered, on probation; `None` where it has not got it.
    pub(crate) fn decline(&mut self, mac: MacAddr, address: A, hold: Duration) -> Option<LeaseRecord<A>> {
        let current =
            self.by_address.get(&address).filter(|record| record.mac == mac && record.is_active(self.clock))?;
        match current.state {
            LeaseState::Offered | LeaseState::Bound => (),
            LeaseState::Released | LeaseState::Declined => return None,
        }
        let (granted, expires) = (self.clock, self.clock.after(hold));
        let record = LeaseRecord { mac, address, state: LeaseState::Declined, granted, expires, hostname: None };
        self.put(record.clone());
        Some(record)
    }

    /// What is known of an address that is somebody's, or nobody's, at the moment.
    pub(super) fn held(&self, address: A) -> Option<&LeaseRecord<A>> {
        self.by_address.get(&address).filter(|record| record.is_active(self.clock))
    }

    /// The address that the machine has at the moment.
    pub(super) fn has(&self, mac: MacAddr) -> Option<A> {
        self.leased(mac).filter(|address| self.is_leased(*address, mac))
    }

    /// Takes up a record that was kept; one that the network has no place for any more is dropped.
    pub(crate) fn restore(&mut self, record: LeaseRecord<A>) {
        if !self.is_clients(record.address) || record.state == LeaseState::Offered {
            return;
        }
        self.clock = self.clock.max(record.granted);
        if record.state == LeaseState::Declined { self.put(record) } else { self.replace(record) }
    }

    /// Takes up a record as it is, offers too, where it was made under another configuration.
    ///
    /// # Errors
    /// The network has no place for it: the record comes back.
    pub(crate) fn adopt(&mut self, record: LeaseRecord<A>) -> Result<(), LeaseRecord<A>> {
        if !self.is_clients(record.address) {
            return Err(record);
        }
        self.clock = self.clock.max(record.granted);
        self.put(record);
        Ok(())
    }

    /// All that is known, offers too, by address, for [`Leases::adopt`].
    pub(crate) fn into_records(self) -> impl Iterator<Item = LeaseRecord<A>> {
        let mut records: Vec<_> = self.by_address.into_values().collect();
        records.sort_unstable_by_key(|record| record.address);
        records.into_iter()
    }

    /// Everything but offers, by address.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &LeaseRecord<A>> {
        let mut kept: Vec<_> = self.by_address.values().filter(|record| record.state != LeaseState::Offered).collect();
        kept.sort_unstable_by_key(|record| record.address);
        kept.into_iter()
    }

    /// Puts the record in the place of whatever was known of its address and of its machine.
    fn replace(&mut self, record: LeaseRecord<A>) {
        if self.offered(record.mac).is_some_and(|other| other != record.address) {
            self.withdraw(record.mac);
        }
        if let Some(other) = self.leased(record.mac).filter(|other| *other != record.address) {
            self.forget(other);
        }
        self.put(record);
    }

    /// Puts the record in the place of whatever was known of its address.
    fn put(&mut self, record: LeaseRecord<A>) {
        let LeaseRecord { mac, address, state, expires, .. } = record;
        let old = self.by_address.insert(address, record);
        self.take(address, old.as_ref().map(|old| old.expires));
        if let Some(old) = old {
            self.detach(old.mac, address);
        }
        self.give(address, Some(expires));
        match state {
            LeaseState::Offered => self.by_mac.entry(mac).or_default().offer = Some(address),
            LeaseState::Bound | LeaseState::Released => self.by_mac.entry(mac).or_default().lease = Some(address),
            LeaseState::Declined => (),
        }
    }

    /// Drops what is known of the address.
    fn forget(&mut self, address: A) {
        let Some(record) = self.by_address.remove(&address) else { return };
        self.take(address, Some(record.expires));
        self.detach(record.mac, address);
        self.give(address, None);
    }

    /// Puts the address among those that can be given some time, if it is one of them; `expires` is when its record ends.
    fn give(&mut self, address: A, expires: Option<UnixSeconds>) {
        let Some(pool) = self.pool_of(address).filter(|_| !self.is_reserved(address)) else { return };
        match expires {
            Some(expires) => self.pools[pool].end(expires, address),
            None => self.pools[pool].free(address),
        }
    }

    /// Takes the address out from among those; `expires` is what [`Leases::give`] was told.
    fn take(&mut self, address: A, expires: Option<UnixSeconds>) {
        if let Some(pool) = self.pool_of(address) {
            self.pools[pool].take(address, expires);
        }
    }

    fn detach(&mut self, mac: MacAddr, address: A) {
        let Some(held) = self.by_mac.get_mut(&mac) else { return };
        for place in [&mut held.lease, &mut held.offer] {
            place.take_if(|held| *held == address);
        }
        if held.lease.is_none() && held.offer.is_none() {
            self.by_mac.remove(&mac);
        }
    }
}
