//! A client's message, built field by field.

use std::net::Ipv4Addr;

use lab_model::MacAddr;

pub(crate) const DISCOVER: u8 = 1;
pub(crate) const REQUEST: u8 = 3;
pub(crate) const DECLINE: u8 = 4;
pub(crate) const RELEASE: u8 = 7;
pub(crate) const INFORM: u8 = 8;

#[derive(Clone, Debug)]
pub(crate) struct Packet(Vec<u8>);

/// The machine with this number.
pub(crate) fn mac(number: u8) -> MacAddr {
    MacAddr::new([0x52, 0x54, 0, 0, 0, number])
}

impl Packet {
    pub(crate) fn new(kind: u8, mac: MacAddr) -> Self {
        let mut bytes = vec![0; 240];
        bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&[0xca, 0xfe, kind, mac.bytes()[5]]);
        bytes[28..34].copy_from_slice(&mac.bytes());
        bytes[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
        Self(bytes).option(53, &[kind])
    }

    /// A DHCPREQUEST that takes up this server's offer.
    pub(crate) fn select(mac: MacAddr, address: Ipv4Addr, server: Ipv4Addr) -> Self {
        Self::new(REQUEST, mac).option(50, &address.octets()).option(54, &server.octets())
    }

    /// A DHCPREQUEST of a client that remembers its address.
    pub(crate) fn reboot(mac: MacAddr, address: Ipv4Addr) -> Self {
        Self::new(REQUEST, mac).option(50, &address.octets())
    }

    /// A DHCPREQUEST of a client that uses its address.
    pub(crate) fn renew(mac: MacAddr, address: Ipv4Addr) -> Self {
        Self::new(REQUEST, mac).client_address(address)
    }

    pub(crate) fn option(mut self, code: u8, data: &[u8]) -> Self {
        for part in data.chunks(255) {
            self.0.push(code);
            self.0.push(part.len() as u8);
            self.0.extend_from_slice(part);
        }
        self
    }

    pub(crate) fn client_address(self, address: Ipv4Addr) -> Self {
        self.set(12, &address.octets())
    }

    pub(crate) fn relay(self, address: Ipv4Addr) -> Self {
        self.set(24, &address.octets())
    }

    pub(crate) fn broadcast(self) -> Self {
        self.set(10, &[0x80, 0])
    }

    pub(crate) fn set(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.0.clone();
        bytes.push(255);
        bytes
    }
}
