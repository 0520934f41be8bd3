//! Who has an IPv4 address, as other services know a client by it.

use std::net::Ipv4Addr;

use lab_model::MacAddr;
use tokio::sync::watch;

use super::Clients;
use crate::neighbours::Neighbours;

/// By what it is known who has which address.
#[derive(Clone, Debug)]
pub(crate) enum Holders {
    /// By our leases.
    Leases(watch::Receiver<Clients>),
    /// Another server gives the addresses: by whom the kernel reaches at them.
    Neighbours(Neighbours),
}

impl Holders {
    /// Who has this address.
    pub(crate) fn holder(&self, address: Ipv4Addr) -> Option<MacAddr> {
        match self {
            Self::Leases(clients) => clients.borrow().holder(address),
            Self::Neighbours(neighbours) => neighbours.holder(address),
        }
    }

    /// Whether an address that nobody is known to have is the machine's for which a definition reserves it: not where another
    /// server gives addresses, to whomever it likes.
    pub(crate) fn keep_reservations(&self) -> bool {
        matches!(self, Self::Leases(_))
    }
}
