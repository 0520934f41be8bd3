//! Which machine has which address: by this other services know a client.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use lab_model::{Ipv4Net, MacAddr, MachineName};
use pxe_proto::dhcp::{Engine, LeaseRecord, LeaseState, UnixSeconds};
use pxe_proto::dns::Lease;

/// Who has which address by our DHCP. A machine has one address on a link at most, and an address one machine.
///
/// An address is its machine's beyond the end of the lease, until somebody else gets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clients {
    /// The subnets of each.
    links: Vec<Vec<Ipv4Net>>,
    by_address: BTreeMap<Ipv4Addr, Holder>,
    by_mac: BTreeMap<(MacAddr, Option<usize>), Ipv4Addr>,
}

/// Who has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    mac: MacAddr,
    expires: UnixSeconds,
    hostname: Option<MachineName>,
}

impl Clients {
    /// Those of an engine.
    pub(super) fn of(engine: &Engine) -> Self {
        let mut clients = Self::on(engine.links().map(|link| link.map(|subnet| subnet.network).collect()).collect());
        engine.leases().for_each(|lease| clients.note(lease));
        clients
    }

    /// Nobody, on links with these subnets.
    pub(crate) fn on(links: Vec<Vec<Ipv4Net>>) -> Self {
        Self { links, ..Self::default() }
    }

    /// Who has this address.
    pub(crate) fn holder(&self, address: Ipv4Addr) -> Option<MacAddr> {
        self.by_address.get(&address).map(|holder| holder.mac)
    }

    /// How many leases have not ended by now.
    pub(crate) fn leases(&self, now: UnixSeconds) -> usize {
        self.by_address.values().filter(|holder| holder.expires >= now).count()
    }

    /// Every lease that somebody has or had last, in the order of addresses.
    pub(crate) fn leases_by_address(&self) -> impl Iterator<Item = Lease<'_>> {
        self.by_address.iter().map(|(address, Holder { mac, expires, hostname })| Lease {
            mac: *mac,
            address: *address,
            expires: *expires,
            hostname: hostname.as_ref(),
        })
    }

    /// Takes up what became of a lease.
    pub(crate) fn note(&mut self, lease: &LeaseRecord) {
        let LeaseRecord { mac, address, state, expires, .. } = *lease;
        // A lease that is prolonged, as most are.
        if let Some(holder) = self.by_address.get_mut(&address)
            && holder.mac == mac
            && state == LeaseState::Bound
        {
            holder.expires = expires;
            holder.hostname.clone_from(&lease.hostname);
            return;
        }
        let link = self.links.iter().position(|link| link.iter().any(|subnet| subnet.contains(address)));
        if let Some(before) = self.by_address.remove(&address) {
            self.by_mac.remove(&(before.mac, link));
        }
        match state {
            LeaseState::Bound => {
                // A machine that gets another address has left its old one.
                if let Some(old) = self.by_mac.insert((mac, link), address) {
                    self.by_address.remove(&old);
                }
                self.by_address.insert(address, Holder { mac, expires, hostname: lease.hostname.clone() });
            }
            LeaseState::Offered | LeaseState::Released | LeaseState::Declined => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_moves_leaves_its_old_address() {
        let clients = noted(&[bound(1, 10), bound(1, 20)]);

        assert_eq!((clients.holder(host(10)), clients.holder(host(20))), (None, Some(mac(1))));
    }

    #[test]
    fn a_machine_has_an_address_on_each_link_and_one_where_subnets_share_it() {
        let [a, b, c] = ["10.77.0.0/28", "10.77.0.16/28", "10.77.0.32/28"].map(|net| net.parse().expect("a network"));
        let mut clients = Clients::on(vec![vec![a], vec![b, c]]);

        [bound(1, 10), bound(1, 20), bound(1, 40)].iter().for_each(|lease| clients.note(lease));

        assert_eq!([10, 20, 40].map(|last| clients.holder(host(last))), [Some(mac(1)), None, Some(mac(1))]);
    }

    #[test]
    fn an_address_that_somebody_else_gets_is_theirs_alone() {
        let clients = noted(&[bound(1, 10), bound(2, 10), bound(1, 20)]);

        assert_eq!((clients.holder(host(10)), clients.holder(host(20))), (Some(mac(2)), Some(mac(1))));
        assert_eq!(clients, noted(&[bound(2, 10), bound(1, 20)]));
    }

    #[test]
    fn an_address_that_is_given_back_is_nobodys() {
        for state in [LeaseState::Released, LeaseState::Declined] {
            assert_eq!(noted(&[bound(1, 10), LeaseRecord { state, ..bound(1, 10) }]), Clients::default());
        }
    }

    #[test]
    fn leases_are_counted_as_long_as_they_last() {
        let clients = noted(&[bound(1, 10), LeaseRecord { expires: UnixSeconds(5), ..bound(2, 20) }]);

        assert_eq!((clients.leases(UnixSeconds(5)), clients.leases(UnixSeconds(6))), (2, 1));
    }

    fn noted(leases: &[LeaseRecord]) -> Clients {
        let mut clients = Clients::default();
        leases.iter().for_each(|lease| clients.note(lease));
        clients
    }

    fn bound(last: u8, address: u8) -> LeaseRecord {
        LeaseRecord {
            mac: mac(last),
            address: host(address),
            state: LeaseState::Bound,
            granted: UnixSeconds(0),
            expires: UnixSeconds(10),
            hostname: None,
        }
    }

    fn mac(last: u8) -> MacAddr {
        MacAddr::new([0x52, 0x54, 0, 0, 0, last])
    }

    fn host(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, last)
    }
}
