//! Ethernet hardware addresses.

use std::fmt;
use std::net::Ipv6Addr;

/// A 48-bit hardware address, shown as six lower-case pairs with colons: `52:54:00:12:34:56`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// The address of these six bytes, in the order in which they are sent.
    pub const fn new(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    /// The six bytes in the order in which they are sent.
    pub const fn bytes(self) -> [u8; 6] {
        self.0
    }

    /// The address of the interface that made itself `address` of it (RFC 4291 appendix A); `None` for one made otherwise.
    pub const fn of_eui64(address: Ipv6Addr) -> Option<Self> {
        match address.octets() {
            [_, _, _, _, _, _, _, _, a, b, c, 0xff, 0xfe, d, e, f] => {
                let mac = Self([a ^ UNIVERSAL, b, c, d, e, f]);
                if mac.is_unicast() { Some(mac) } else { None }
            }
            _ => None,
        }
    }

    /// Whether one interface can have it: neither a group address (IEEE 802 §8.2, the first byte's lowest bit) nor all zeros.
    pub const fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }
}

/// RFC 4291 §2.5.1: the bit that an interface identifier has inverted.
const UNIVERSAL: u8 = 0x02;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By hand: it is in every line of the log, every event and every URL.
        let mut text = *b"00:00:00:00:00:00";
        for (place, octet) in text.chunks_mut(3).zip(self.0) {
            place[0] = DIGITS[usize::from(octet >> 4)];
            place[1] = DIGITS[usize::from(octet & 0xf)];
        }
        f.pad(str::from_utf8(&text).expect("digits and colons are ASCII"))
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::str::FromStr for MacAddr {
    type Err = NotMacAddr;

    /// Reads six pairs of hexadecimal digits of any case, separated by colons or hyphens, or twelve digits in a row.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NotMacAddr(text.to_owned());
        let digits: Vec<u8> = match text.len() {
            12 => text.bytes().collect(),
            17 => {
                let separator = text.as_bytes()[2];
                let separated = text.bytes().skip(2).step_by(3).all(|byte| byte == separator);
                if !separated || !b":-".contains(&separator) {
                    return Err(refused());
                }
                text.bytes().filter(|byte| *byte != separator).collect()
            }
            _ => return Err(refused()),
        };
        let mut bytes = [0; 6];
        if digits.len() != 12 {
            return Err(refused());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let nibble = |digit: u8| (digit as char).to_digit(16).ok_or_else(refused);
            *byte = (nibble(pair[0])? << 4 | nibble(pair[1])?) as u8;
        }
        Ok(Self(bytes))
    }
}

/// The text is no hardware address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a MAC address: expected six pairs of hexadecimal digits such as `52:54:00:12:34:56`")]
pub struct NotMacAddr(String);

text_serde!(MacAddr);

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: MacAddr = MacAddr::new([0x52, 0x54, 0, 0xab, 0xcd, 0xef]);

    #[test]
    fn every_usual_spelling_is_the_same_address() {
        for text in ["52:54:00:ab:cd:ef", "52:54:00:AB:CD:EF", "52-54-00-ab-cd-ef", "525400abcdef"] {
            assert_eq!(text.parse(), Ok(ADDRESS), "{text}");
        }
        assert_eq!(ADDRESS.to_string(), "52:54:00:ab:cd:ef");
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in
            ["", "52:54:00:ab:cd", "52:54-00:ab:cd:ef", "52:54:00:ab:cd:eg", "5é:54:00:ab:cd:e", "::::::::::::::::::"]
        {
            assert!(text.parse::<MacAddr>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_that_was_made_of_it_tells_it() {
        let of = |text: &str| MacAddr::of_eui64(text.parse().expect("an address"));

        assert_eq!(of("fe80::5054:ff:feab:cdef"), Some(ADDRESS));
        assert_eq!(of("fd00:77::5054:ff:feab:cdef"), Some(ADDRESS));
        for text in ["fe80::1", "fe80::5054:ff:fdab:cdef", "fe80::5354:ff:feab:cdef", "fe80::200:ff:fe00:0"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn an_interface_has_no_group_address() {
        assert!(ADDRESS.is_unicast());
        assert!(!MacAddr::new([0xff; 6]).is_unicast());
        assert!(!MacAddr::new([0; 6]).is_unicast());
    }
}
