//! What clients and relays send, byte by byte.

use std::net::Ipv6Addr;

use lab_model::MacAddr;

pub(crate) const SOLICIT: u8 = 1;
pub(crate) const REQUEST: u8 = 3;
pub(crate) const CONFIRM: u8 = 4;
pub(crate) const RENEW: u8 = 5;
pub(crate) const REBIND: u8 = 6;
pub(crate) const RELEASE: u8 = 8;
pub(crate) const DECLINE: u8 = 9;
pub(crate) const INFORMATION: u8 = 11;

/// A message and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sender: Ipv6Addr,
}

impl Packet {
    /// Of the machine with this number, whose link-local address tells its hardware address and whose DUID tells nothing.
    pub(crate) fn new(kind: u8, number: u8) -> Self {
        Self::of(kind, link_local(number)).option(1, &uuid(number))
    }

    /// From this address, and nothing else.
    pub(crate) fn of(kind: u8, sender: Ipv6Addr) -> Self {
        Self { bytes: vec![kind, 1, 2, 3], sender }
    }

    pub(crate) fn option(mut self, code: u16, data: &[u8]) -> Self {
        self.bytes.extend(option(code, data));
        self
    }

    /// With an association of this name, and these addresses in it.
    pub(crate) fn association(self, id: u32, addresses: &[Ipv6Addr]) -> Self {
        let mut data = id.to_be_bytes().to_vec();
        data.extend([0; 8]);
        for address in addresses {
            data.extend(option(5, &[&address.octets()[..], &[0; 8]].concat()));
        }
        self.option(3, &data)
    }

    /// For the server of [`crate::lan::config`].
    pub(crate) fn for_us(self) -> Self {
        self.option(2, &crate::lan::config().duid)
    }

    /// From firmware of this class and architecture (RFC 5970 §3.3).
    pub(crate) fn firmware(self, class: &str, architecture: u16) -> Self {
        let length = (class.len() as u16).to_be_bytes();
        let class = [&343_u32.to_be_bytes()[..], &length, class.as_bytes()].concat();
        self.option(61, &architecture.to_be_bytes()).option(62, &[1, 3, 0]).option(16, &class)
    }

    /// Passed on by a relay on this link, with more options of the relay's.
    pub(crate) fn relayed(self, link: Ipv6Addr, hops: u8, more: &[(u16, &[u8])]) -> Self {
        let mut bytes = vec![12, hops];
        bytes.extend(link.octets());
        bytes.extend(self.sender.octets());
        more.iter().for_each(|(code, data)| bytes.extend(option(*code, data)));
        bytes.extend(option(9, &self.bytes));
        Self { bytes, sender: "fd00:99::9".parse().unwrap() }
    }
}

pub(crate) fn option(code: u16, data: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat()
}

pub(crate) fn mac(number: u8) -> MacAddr {
    MacAddr::new([0x52, 0x54, 0, 0, 0, number])
}

/// What the machine makes itself of its hardware address.
pub(crate) fn link_local(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0x00ff, 0xfe00, number.into())
}

/// A DUID-UUID, as EDK2 has it.
pub(crate) fn uuid(number: u8) -> Vec<u8> {
    [&[0, 4][..], &[number; 16]].concat()
}
