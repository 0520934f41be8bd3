//! Whom the kernel reaches at which IPv4 address of the lab's link (ARP, RFC 826).
//!
//! Whoever is in a TCP connection with us, or takes packets by TFTP, gets what we send at the hardware address that stands here. So
//! it is as good a witness of who that is as a lease: both say no more than the sender of a frame says of itself.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use lab_model::MacAddr;
use tracing::warn;

use crate::interface::Interface;

/// The kernel's table, as far as it is about one interface.
#[derive(Clone, Debug)]
pub(crate) struct Neighbours {
    table: PathBuf,
    interface: String,
}

/// proc_pid_net(5). It has 1024 lines at most by default (`gc_thresh3`, arp(7)).
const TABLE: &str = "/proc/self/net/arp";

/// ARPHRD_ETHER (linux/if_arp.h).
const ETHERNET: &str = "0x1";

/// ATF_COM (linux/if_arp.h): the hardware address is known.
const COMPLETE: u32 = 2;

impl Neighbours {
    /// Those on this interface.
    pub(crate) fn on(interface: &Interface) -> Self {
        Self { table: TABLE.into(), interface: interface.name.clone() }
    }

    /// Whose hardware address that at this address is.
    pub(crate) fn holder(&self, address: Ipv4Addr) -> Option<MacAddr> {
        let table = fs::read_to_string(&self.table)
            .inspect_err(|error| warn!(table = %self.table.display(), %error, "nobody is known by an address"));
        find(&table.ok()?, address, &self.interface)
    }
}

/// Lines of address, hardware type, flags, hardware address, mask and interface, behind a heading.
fn find(table: &str, address: Ipv4Addr, interface: &str) -> Option<MacAddr> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [found, ETHERNET, flags, mac, _, device] = fields[..] else { return None };
        let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
        let is_it = found.parse() == Ok(address) && device == interface && flags & COMPLETE != 0;
        mac.parse().ok().filter(|_| is_it)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_counts_on_its_own_interface_once_its_hardware_address_is_known() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     10.77.0.50       0x1         0x2         52:54:00:00:00:01     *        lab\n\
                     10.77.0.51       0x1         0x0         00:00:00:00:00:00     *        lab\n\
                     10.77.0.52       0x1         0x6         52:54:00:00:00:02     *        lab\n\
                     10.77.0.53       0x1         0x2         52:54:00:00:00:03     *        uplink\n\
                     10.77.0.54       0x20        0x2         52:54:00:00:00:04     *        lab\n\
                     nonsense\n";
        let holder = |last| find(table, Ipv4Addr::new(10, 77, 0, last), "lab");
        let mac = |last| Some(MacAddr::new([0x52, 0x54, 0, 0, 0, last]));

        assert_eq!([50, 52].map(holder), [mac(1), mac(2)]);
        assert_eq!([5, 51, 53, 54].map(holder), [None; 4]);
        assert_eq!(find("", Ipv4Addr::new(10, 77, 0, 50), "lab"), None);
    }
}
