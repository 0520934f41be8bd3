//! Who asks: the machine's hardware address, from the nearest witness of it.

use std::net::Ipv6Addr;

use lab_model::{Firmware, Inventory, MacAddr, Uuid};

/// A client: one machine's interface, and the program that speaks for it at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its hardware address, by which it is known. Where it shows none, one that is made of its DUID stands in for it: then it is
    /// no machine that anybody has defined, and has always the same address all the same.
    pub mac: MacAddr,
    /// Whether that is its hardware address indeed.
    pub shows_hardware: bool,
    /// What asks.
    pub firmware: Firmware,
}

/// Who the client with this DUID is; `sender` is where the message came from before any relay passed it on, and `seen` what the relay
/// next to the client has seen in its frame (RFC 6939).
///
/// That counts most; else its link-local address tells, which firmware makes of its hardware
/// address, and most systems. The DUID comes last: it names one interface of a host for all of them, or none.
pub(super) fn identify(duid: &[u8], sender: Ipv6Addr, seen: Option<MacAddr>) -> (MacAddr, bool) {
    let told = || MacAddr::of_eui64(sender).filter(|_| sender.is_unicast_link_local());
    match seen.or_else(told).or_else(|| hardware(duid)) {
        Some(mac) => (mac, true),
        None => (stand_in(duid), false),
    }
}

impl Client {
    /// The machine that the client is, of those whose UUID the inventory has; only who shows no hardware address is looked for there.
    pub(super) fn known_to(&self, inventory: &Inventory, duid: &[u8]) -> Option<Self> {
        let uuids = uuids(duid).filter(|_| !self.shows_hardware)?;
        let machine = uuids.into_iter().find_map(|uuid| inventory.by_uuid(uuid))?;
        Some(Self { mac: machine.mac, shows_hardware: true, ..self.clone() })
    }
}

/// The UUID in a DUID that has one (RFC 6355 §4), which is in the order of the network; in that of SMBIOS as EDK2 writes it.
fn uuids(duid: &[u8]) -> Option<[Uuid; 2]> {
    let bytes: [u8; 16] = duid.strip_prefix(&[0, 4])?.try_into().ok()?;
    Some([Uuid::new(bytes), Uuid::of_smbios(bytes)])
}

/// Who a client with this DUID is to a server that remembers no more of it, perhaps with the hardware address that was seen.
pub(crate) fn known_by(duid: &[u8], seen: Option<MacAddr>) -> MacAddr {
    identify(duid, Ipv6Addr::UNSPECIFIED, seen).0
}

/// RFC 8415 §11.1.
pub(super) const LONGEST_DUID: usize = 2 + 128;

/// The Ethernet address in a DUID that has one (RFC 8415 §11.2, DUID-LLT; §11.4, DUID-LL).
fn hardware(duid: &[u8]) -> Option<MacAddr> {
    let address = match duid {
        [0, 1, 0, 1, _, _, _, _, address @ ..] | [0, 3, 0, 1, address @ ..] => address,
        _ => return None,
    };
    Some(MacAddr::new(address.try_into().ok()?)).filter(|mac| mac.is_unicast())
}

/// An address that no card has by its maker (IEEE 802 §8.2), the same for the same DUID (FNV-1a, 64 bits).
fn stand_in(duid: &[u8]) -> MacAddr {
    let hash = duid
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let [.., a, b, c, d, e] = hash.to_be_bytes();
    MacAddr::new([0x02, a, b, c, d, e])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_witness_counts() {
        let who = |duid: &[u8], sender: &str, seen: Option<u8>| {
            identify(duid, sender.parse().expect("an address"), seen.map(mac))
        };

        assert_eq!(who(&LINK_LAYER, OF_THREE, Some(4)), (mac(4), true));
        assert_eq!(who(&LINK_LAYER, OF_THREE, None), (mac(3), true));
        assert_eq!(who(&LINK_LAYER, "fe80::1", None), (mac(2), true));
        assert_eq!(who(&LINK_LAYER_AND_TIME, "fe80::1", None), (mac(2), true));
        assert_eq!(who(&UUID, OF_THREE, None), (mac(3), true));
    }

    #[test]
    fn who_shows_no_hardware_is_told_from_others_by_its_duid() {
        let nobody = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        let (first, shown) = identify(&UUID, nobody, None);

        assert!(!shown && first.is_unicast() && first.bytes()[0] == 2, "{first}");
        assert_eq!(identify(&UUID, nobody, None).0, first);
        assert_ne!(identify(&UUID[..17], nobody, None).0, first);
        for strange in [&[][..], &[0, 3], &[0, 3, 0, 1, 1, 2, 3, 4, 5, 6], &[0, 3, 0, 6, 2, 0, 0, 0, 0, 1]] {
            assert!(!identify(strange, nobody, None).1, "{strange:?}");
        }
    }

    const LINK_LAYER: [u8; 10] = [0, 3, 0, 1, 0x52, 0x54, 0, 0, 0, 2];
    const LINK_LAYER_AND_TIME: [u8; 14] = [0, 1, 0, 1, 9, 9, 9, 9, 0x52, 0x54, 0, 0, 0, 2];
    const UUID: [u8; 18] = [0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    const OF_THREE: &str = "fe80::5054:ff:fe00:3";

    fn mac(last: u8) -> MacAddr {
        MacAddr::new([0x52, 0x54, 0, 0, 0, last])
    }
}
