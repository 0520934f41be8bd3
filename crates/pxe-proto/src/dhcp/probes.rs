//! Addresses that the link is being asked about, and who waits for the answer.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use lab_model::MacAddr;

use super::Request;

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody said that the address is theirs.
    Free,
    /// A host with this hardware address said so.
    Taken(MacAddr),
}

/// The probes whose verdict is still to come.
///
/// A host that makes up clients has as many addresses on offer as the pool has, so there is a bound of its own here.
#[derive(Debug, Default)]
pub(super) struct Probes {
    open: BTreeMap<Ipv4Addr, Probe>,
}

/// One address that the link is being asked about.
#[derive(Debug)]
pub(super) struct Probe {
    /// Whom it is for.
    pub(super) mac: MacAddr,
    /// What is answered then; `None` where it has been answered already.
    pub(super) request: Option<Box<Request>>,
}

/// Five times the machines that a lab switches on at once. Each takes at most some kilobytes.
const MOST: usize = 512;

impl Probes {
    /// Whether another one may be opened.
    pub(super) fn have_room(&self) -> bool {
        self.open.len() < MOST
    }

    /// Takes note that the link is asked about the address.
    pub(super) fn open(&mut self, address: Ipv4Addr, probe: Probe) {
        self.open.insert(address, probe);
    }

    /// The client's request that waits to be answered with this address.
    pub(super) fn waiting(&mut self, address: Ipv4Addr, mac: MacAddr) -> Option<&mut Request> {
        let probe = self.open.get_mut(&address).filter(|probe| probe.mac == mac)?;
        probe.request.as_deref_mut()
    }

    /// Ends one.
    pub(super) fn close(&mut self, address: Ipv4Addr) -> Option<Probe> {
        self.open.remove(&address)
    }
}
