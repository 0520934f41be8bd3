//! Leases that another server gave, and that are to go on here.

use std::net::Ipv4Addr;

use lab_model::MacAddr;

use super::leases::Leases;
use super::{Address, LeaseRecord, LeaseState};

/// Why a client is not to have an address that another server gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTakenOver<A: Address = Ipv4Addr> {
    /// Nobody has the address any more.
    #[error("the lease has ended")]
    Ended,
    /// It is no address of a host on any subnet that is served.
    #[error("outside of every subnet")]
    Outside,
    /// The client would be refused it when it next asks.
    #[error("in no pool, and not reserved for the machine")]
    NotInPool,
    /// It is another machine's by its definition.
    #[error("reserved for another machine")]
    ReservedForAnother,
    /// Another machine has it from us.
    #[error("{0} has it already")]
    Taken(MacAddr),
    /// Found in use a while ago by a host that did not ask for it.
    #[error("declined a while ago")]
    OnProbation,
    /// The machine has another address on the subnet.
    #[error("the machine has {0} already")]
    Has(A),
    /// The machine has it from us, for as long or longer.
    #[error("known already")]
    Known,
}

impl<A: Address> Leases<A> {
    /// Takes over a lease of a machine with this reservation, which has this other address on the same link.
    pub(crate) fn take_over(
        &mut self,
        mut lease: LeaseRecord<A>,
        reserved: Option<A>,
        other: Option<A>,
    ) -> Result<(), NotTakenOver<A>> {
        let LeaseRecord { mac, address, .. } = lease;
        // What other servers say of the future is no reason to believe that it is now.
        lease.granted = lease.granted.min(self.clock());
        if lease.state != LeaseState::Bound || !lease.is_active(self.clock()) {
            return Err(NotTakenOver::Ended);
        }
        if !self.is_clients(address) {
            return Err(NotTakenOver::Outside);
        }
        match reserved == Some(address) {
            false if self.is_reserved(address) => return Err(NotTakenOver::ReservedForAnother),
            false if !self.is_in_pool(address) => return Err(NotTakenOver::NotInPool),
            true | false => (),
        }
        if let Some(held) = self.held(address) {
            match held.state {
                LeaseState::Declined => return Err(NotTakenOver::OnProbation),
                _ if held.mac != mac => return Err(NotTakenOver::Taken(held.mac)),
                LeaseState::Bound if held.expires >= lease.expires => return Err(NotTakenOver::Known),
                LeaseState::Bound | LeaseState::Offered | LeaseState::Released => (),
            }
        }
        if let Some(other) = other.or_else(|| self.has(mac)).filter(|other| *other != address) {
            return Err(NotTakenOver::Has(other));
        }
        self.restore(lease);
        Ok(())
    }
}
