//! One link as it is served: the subnets that share it, who has which of their addresses, and who can have them.

use std::net::Ipv4Addr;
use std::time::Duration;

use lab_model::{Inventory, MacAddr, MachineName};

use super::leases::Leases;
use super::{Class, Ignored, LeaseRecord, NotTakenOver, Refusal, Subnet, UnixSeconds};

/// A link with its subnets, one at least. A client has one address there, whichever subnet it is of.
#[derive(Debug)]
pub(super) struct Link {
    segments: Vec<Segment>,
}

/// A subnet, with its leases.
#[derive(Debug)]
struct Segment {
    subnet: Subnet,
    leases: Leases<Ipv4Addr>,
}

/// Who wants an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Applicant<'a> {
    pub(super) mac: MacAddr,
    /// The classes that it is of, by their place in the configuration.
    pub(super) classes: &'a [usize],
    /// The address reserved for it on this link.
    pub(super) reservation: Option<Ipv4Addr>,
}

impl Link {
    /// A link with this subnet alone yet.
    pub(super) fn new(subnet: Subnet, classes: &[Class], server: Ipv4Addr) -> Self {
        let mut link = Self { segments: Vec::new() };
        link.add(subnet, classes, server);
        link
    }

    /// Puts another subnet behind those that are there.
    pub(super) fn add(&mut self, subnet: Subnet, classes: &[Class], server: Ipv4Addr) {
        let pools = classes.iter().map(|class| &class.pool[..]).chain([&subnet.pool[..]]);
        let leases = Leases::new(subnet.network.hosts(), pools, server, subnet.router);
        self.segments.push(Segment { subnet, leases });
    }

    /// Its subnets, in their order.
    pub(super) fn subnets(&self) -> impl Iterator<Item = &Subnet> {
        self.segments.iter().map(|segment| &segment.subnet)
    }

    /// The subnet that the address is of; the first where it is of none.
    pub(super) fn subnet_of(&self, address: Ipv4Addr) -> &Subnet {
        let found = self.subnets().find(|subnet| subnet.network.contains(address));
        found.unwrap_or(&self.segments[0].subnet)
    }

    /// Whether a host other than the server can have the address here.
    pub(super) fn has(&self, address: Ipv4Addr) -> bool {
        self.leases_with(address).is_some()
    }

    /// Goes on to this moment.
    pub(super) fn advance(&mut self, now: UnixSeconds) {
        self.segments.iter_mut().for_each(|segment| segment.leases.advance(now));
    }

    /// Keeps what this inventory reserves.
    pub(super) fn reserve(&mut self, inventory: &Inventory) {
        for Segment { leases, .. } in &mut self.segments {
            let reserved = inventory.machines().filter_map(|machine| machine.address);
            leases.reserve(reserved.filter(|address| leases.is_clients(*address)).collect());
        }
    }

    /// Takes up a record that was kept, in the place of whatever the machine had before.
    pub(super) fn restore(&mut self, record: LeaseRecord) {
        if record.state.is_somebodys() {
            self.leave_all_but(record.address, record.mac);
        }
        if let Some(leases) = self.leases_with_mut(record.address) {
            leases.restore(record);
        }
    }

    /// Takes over another server's lease of a machine with this reservation.
    ///
    /// # Errors
    /// The machine is not to have the address from us.
    pub(super) fn take_over(&mut self, lease: LeaseRecord, reserved: Option<Ipv4Addr>) -> Result<(), NotTakenOver> {
        let LeaseRecord { mac, address, .. } = lease;
        let others = self.segments.iter().filter(|segment| !segment.leases.is_clients(address));
        let other = others.filter_map(|segment| segment.leases.has(mac)).next();
        self.leases_with_mut(address).ok_or(NotTakenOver::Outside)?.take_over(lease, reserved, other)?;
        self.leave_all_but(address, mac);
        Ok(())
    }

    /// Takes up a record as it is, offers too, where it was made under another configuration.
    ///
    /// # Errors
    /// The link has no place for it: the record comes back.
    pub(super) fn adopt(&mut self, record: LeaseRecord) -> Result<(), LeaseRecord> {
        match self.leases_with_mut(record.address) {
            Some(leases) => leases.adopt(record),
            None => Err(record),
        }
    }

    /// All that is known, offers too, for [`Link::adopt`].
    pub(super) fn into_records(self) -> impl Iterator<Item = LeaseRecord> {
        self.segments.into_iter().flat_map(|segment| segment.leases.into_records())
    }

    /// The moment of the last step.
    pub(super) fn clock(&self) -> UnixSeconds {
        self.segments.iter().map(|segment| segment.leases.clock()).max().unwrap_or_default()
    }

    /// Every lease that is to be kept, in the order of subnets and addresses.
    pub(super) fn kept(&self) -> impl Iterator<Item = &LeaseRecord> {
        self.segments.iter().flat_map(|segment| segment.leases.kept())
    }

    /// Whether there is any record of the machine.
    pub(super) fn knows(&self, mac: MacAddr) -> bool {
        self.segments.iter().any(|segment| segment.leases.knows(mac))
    }

    /// The address that is on offer to the machine, if it has not asked for it yet.
    pub(super) fn offered(&self, mac: MacAddr) -> Option<Ipv4Addr> {
        self.segments.iter().find_map(|segment| segment.leases.offered(mac))
    }

    /// Whether the machine has the address, had it last, or has it on offer.
    pub(super) fn is_known(&self, address: Ipv4Addr, mac: MacAddr) -> bool {
        self.had(mac).any(|known| known == address)
    }

    /// The address to offer, in the order of RFC 2131 §4.3.1: what the client has or had, what it asks for, what is left, its classes'
    /// own first.
    pub(super) fn choose(&self, applicant: Applicant<'_>, wish: Option<Ipv4Addr>) -> Result<Ipv4Addr, Ignored> {
        let Applicant { mac, classes, reservation } = applicant;
        let mut wanted = reservation.into_iter().chain(self.had(mac)).chain(wish);
        if let Some(address) = wanted.find(|address| self.permitted(*address, applicant).is_ok()) {
            return Ok(address);
        }
        let mut all = self.segments.iter().map(|segment| &segment.leases);
        if !all.clone().any(|leases| leases.has_pool(classes)) {
            return Err(Ignored::NoPool(mac));
        }
        let own = all.clone().find_map(|leases| leases.pick_of_class(mac, classes));
        own.or_else(|| all.find_map(|leases| leases.pick(mac))).ok_or(Ignored::PoolExhausted(mac))
    }

    /// Whether the client can have the address it asks for, considering also what it has.
    pub(super) fn entitled(&self, address: Ipv4Addr, applicant: Applicant<'_>) -> Result<(), Refusal> {
        let Applicant { mac, reservation, .. } = applicant;
        self.permitted(address, applicant)?;
        if [reservation, self.offered(mac)].contains(&Some(address)) {
            return Ok(());
        }
        let mut all = self.segments.iter().filter_map(|segment| segment.leases.has(mac));
        let other = all.find(|other| *other != address);
        other.map_or(Ok(()), |other| Err(Refusal::Has(other)))
    }

    /// Keeps the address for the machine until it asks for it.
    pub(super) fn offer(&mut self, mac: MacAddr, address: Ipv4Addr, hold: Duration) {
        for Segment { leases, .. } in &mut self.segments {
            match leases.is_clients(address) {
                true => leases.offer(mac, address, hold),
                false => leases.withdraw(mac),
            }
        }
    }

    /// Takes back what was offered to the machine.
    pub(super) fn withdraw(&mut self, mac: MacAddr) {
        self.segments.iter_mut().for_each(|segment| segment.leases.withdraw(mac));
    }

    /// Leases the address to the machine, and ends what else it had here; `None` where nobody can have it.
    pub(super) fn bind(
        &mut self,
        mac: MacAddr,
        address: Ipv4Addr,
        hostname: Option<MachineName>,
        lease: Duration,
    ) -> Option<LeaseRecord> {
        self.leave_all_but(address, mac);
        Some(self.leases_with_mut(address)?.bind(mac, address, hostname, lease))
    }

    /// Ends the machine's lease; `None` where it has none of this address.
    pub(super) fn release(&mut self, mac: MacAddr, address: Ipv4Addr) -> Option<LeaseRecord> {
        self.leases_with_mut(address)?.release(mac, address)
    }

    /// Puts the address that the machine has, or was offered, on probation; `None` where it has not got it.
    pub(super) fn decline(&mut self, mac: MacAddr, address: Ipv4Addr, hold: Duration) -> Option<LeaseRecord> {
        self.leases_with_mut(address)?.decline(mac, address, hold)
    }

    /// Whether the address could be given to the client.
    fn permitted(&self, address: Ipv4Addr, applicant: Applicant<'_>) -> Result<(), Refusal> {
        let Applicant { mac, classes, reservation } = applicant;
        let leases = self.leases_with(address).ok_or(Refusal::ForeignNetwork)?;
        leases.vacant(address, mac)?;
        let is_vacant = |address| self.leases_with(address).is_some_and(|leases| leases.vacant(address, mac).is_ok());
        match reservation {
            Some(reserved) if reserved == address => Ok(()),
            Some(reserved) if is_vacant(reserved) => Err(Refusal::Reserved(reserved)),
            _ if leases.is_reserved(address) => Err(Refusal::ReservedForAnother),
            _ if !leases.is_admitted(address, mac, classes) => Err(Refusal::NotInPool),
            _ => Ok(()),
        }
    }

    /// What the machine has or had last, then what is on offer to it.
    fn had(&self, mac: MacAddr) -> impl Iterator<Item = Ipv4Addr> {
        let all = self.segments.iter().map(|segment| &segment.leases);
        all.clone()
            .filter_map(move |leases| leases.leased(mac))
            .chain(all.filter_map(move |leases| leases.offered(mac)))
    }

    /// Ends what the machine has on all subnets but that of this address.
    fn leave_all_but(&mut self, address: Ipv4Addr, mac: MacAddr) {
        let others = self.segments.iter_mut().filter(|segment| !segment.leases.is_clients(address));
        others.for_each(|segment| segment.leases.leave(mac));
    }

    fn leases_with(&self, address: Ipv4Addr) -> Option<&Leases<Ipv4Addr>> {
        self.segments.iter().map(|segment| &segment.leases).find(|leases| leases.is_clients(address))
    }

    fn leases_with_mut(&mut self, address: Ipv4Addr) -> Option<&mut Leases<Ipv4Addr>> {
        self.segments.iter_mut().map(|segment| &mut segment.leases).find(|leases| leases.is_clients(address))
    }
}
