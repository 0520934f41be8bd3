//! One subnet as it is served: who has which of its addresses, and who can have them.

use std::net::Ipv4Addr;

use lab_model::MacAddr;

use super::leases::Leases;
use super::{Class, Ignored, Refusal, Subnet};

/// A subnet, with its leases.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) subnet: Subnet,
    pub(super) leases: Leases<Ipv4Addr>,
}

/// Who wants an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Applicant<'a> {
    pub(super) mac: MacAddr,
    /// The classes that it is of, by their place in the configuration.
    pub(super) classes: &'a [usize],
    /// The address reserved for it on this subnet.
    pub(super) reservation: Option<Ipv4Addr>,
}

impl Segment {
    pub(super) fn new(subnet: Subnet, classes: &[Class], server: Ipv4Addr) -> Self {
        let pools = classes.iter().map(|class| &class.pool[..]).chain([&subnet.pool[..]]);
        let leases = Leases::new(subnet.network.hosts(), pools, server, subnet.router);
        Self { subnet, leases }
    }

    /// The address to offer, in the order of RFC 2131 §4.3.1: what the client has or had, what it asks for, what is left.
    pub(super) fn choose(&self, applicant: Applicant<'_>, wish: Option<Ipv4Addr>) -> Result<Ipv4Addr, Ignored> {
        let Applicant { mac, classes, reservation } = applicant;
        let wanted = [reservation, self.leases.leased(mac), self.leases.offered(mac), wish];
        let wanted = wanted.into_iter().flatten().find(|address| self.permitted(*address, applicant).is_ok());
        if !self.leases.has_pool(classes) && wanted.is_none() {
            return Err(Ignored::NoPool(mac));
        }
        wanted.or_else(|| self.leases.pick(mac, classes)).ok_or(Ignored::PoolExhausted(mac))
    }

    /// Whether the client can have the address it asks for, considering also what it has.
    pub(super) fn entitled(&self, address: Ipv4Addr, applicant: Applicant<'_>) -> Result<(), Refusal> {
        let Applicant { mac, reservation, .. } = applicant;
        self.permitted(address, applicant)?;
        let expected = [reservation, self.leases.offered(mac)].contains(&Some(address));
        match self.leases.leased(mac) {
            Some(other) if other != address && !expected && self.leases.is_leased(other, mac) => {
                Err(Refusal::Has(other))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the address could be given to the client.
    fn permitted(&self, address: Ipv4Addr, applicant: Applicant<'_>) -> Result<(), Refusal> {
        let Applicant { mac, classes, reservation } = applicant;
        if !self.leases.is_clients(address) {
            return Err(Refusal::ForeignNetwork);
        }
        self.leases.vacant(address, mac)?;
        match reservation {
            Some(reserved) if reserved == address => Ok(()),
            Some(reserved) if self.leases.vacant(reserved, mac).is_ok() => Err(Refusal::Reserved(reserved)),
            _ if self.leases.is_reserved(address) => Err(Refusal::ReservedForAnother),
            _ if !self.leases.is_admitted(address, mac, classes) => Err(Refusal::NotInPool),
            _ => Ok(()),
        }
    }
}
