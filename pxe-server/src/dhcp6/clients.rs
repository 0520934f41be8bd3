//! Which machine has which IPv6 address: by this other services know a client.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use lab_model::{Ipv6Net, MacAddr, MachineName};
use pxe_proto::dhcp::{LeaseRecord, LeaseState, UnixSeconds};
use pxe_proto::dns::Lease;
use tokio::sync::watch;

/// Who has which address: by our DHCPv6, or by its own doing of the prefix that we advertise.
#[derive(Clone, Debug)]
pub(crate) struct Clients6 {
    network: Ipv6Net,
    /// Nothing where another server gives addresses.
    pub(crate) leased: Option<watch::Receiver<Leased>>,
}

/// Who has which address by our DHCPv6: a machine has one at most, and an address one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leased {
    by_address: BTreeMap<Ipv6Addr, Holder>,
    by_mac: BTreeMap<MacAddr, Ipv6Addr>,
}

/// Who has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    mac: MacAddr,
    expires: UnixSeconds,
    hostname: Option<MachineName>,
}

impl Clients6 {
    /// Nobody has an address by DHCPv6 yet.
    pub(crate) fn new(network: Ipv6Net) -> Self {
        Self { network, leased: None }
    }

    /// Who has this address. One that was made of a hardware address is that machine's, on the lab's own network: nobody else can
    /// have it by us, and whoever takes another's could take its lease as well.
    pub(crate) fn holder(&self, address: Ipv6Addr) -> Option<MacAddr> {
        let leased = self.leased.as_ref().and_then(|leased| leased.borrow().holder(address));
        let own = self.network.contains(address) || address.is_unicast_link_local();
        leased.or_else(|| MacAddr::of_eui64(address).filter(|_| own))
    }
}

impl Leased {
    fn holder(&self, address: Ipv6Addr) -> Option<MacAddr> {
        self.by_address.get(&address).map(|holder| holder.mac)
    }

    /// Every lease that somebody has or had last, in the order of addresses.
    pub(crate) fn leases_by_address(&self) -> impl Iterator<Item = Lease<'_, Ipv6Addr>> {
        self.by_address.iter().map(|(address, Holder { mac, expires, hostname })| Lease {
            mac: *mac,
            address: *address,
            expires: *expires,
            hostname: hostname.as_ref(),
        })
    }

    /// Takes up what became of a lease.
    pub(super) fn note(&mut self, lease: &LeaseRecord<Ipv6Addr>) {
        let LeaseRecord { mac, address, state, expires, .. } = *lease;
        // EDK2 gives back for itself what its PXE still uses: until somebody else gets it, it is the machine's.
        if matches!(state, LeaseState::Offered | LeaseState::Released) {
            return;
        }
        if let Some(before) = self.by_address.remove(&address) {
            self.by_mac.remove(&before.mac);
        }
        if state == LeaseState::Bound {
            // A machine that gets another address has left its old one.
            if let Some(old) = self.by_mac.insert(mac, address) {
                self.by_address.remove(&old);
            }
            self.by_address.insert(address, Holder { mac, expires, hostname: lease.hostname.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_a_machine_made_itself_is_its_own_on_this_network_alone() {
        let clients = Clients6::new("fd00:77::1/64".parse().expect("a network"));
        let holder = |text: &str| clients.holder(address(text));

        assert_eq!(holder("fd00:77::5054:ff:fe00:1"), Some(mac(1)));
        assert_eq!(holder("fe80::5054:ff:fe00:1"), Some(mac(1)));
        assert_eq!(holder("fd00:78::5054:ff:fe00:1"), None);
        assert_eq!(holder("fd00:77::1000"), None);
    }

    #[test]
    fn a_leased_address_is_one_machines_until_it_moves_or_somebody_else_has_it() {
        let lease = |last, text, state| {
            let (granted, expires) = (UnixSeconds(0), UnixSeconds(10));
            LeaseRecord { mac: mac(last), address: address(text), state, granted, expires, hostname: None }
        };
        let mut leased = Leased::default();

        for (last, text, state) in [
            (1, "fd00:77::10", LeaseState::Bound),
            (1, "fd00:77::20", LeaseState::Bound),
            (2, "fd00:77::10", LeaseState::Bound),
            (3, "fd00:77::30", LeaseState::Bound),
            (3, "fd00:77::30", LeaseState::Released),
            (4, "fd00:77::40", LeaseState::Bound),
            (4, "fd00:77::40", LeaseState::Declined),
        ] {
            leased.note(&lease(last, text, state));
        }

        let clients =
            Clients6 { leased: Some(watch::channel(leased).1), ..Clients6::new("::/0".parse().expect("all")) };
        let holders =
            ["fd00:77::10", "fd00:77::20", "fd00:77::30", "fd00:77::40"].map(|text| clients.holder(address(text)));
        assert_eq!(holders, [Some(mac(2)), Some(mac(1)), Some(mac(3)), None]);
    }

    fn address(text: &str) -> Ipv6Addr {
        text.parse().expect("an address")
    }

    fn mac(last: u8) -> MacAddr {
        MacAddr::new([0x52, 0x54, 0, 0, 0, last])
    }
}
