//! What leases ask of an address, so that they are kept alike for both families.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::net::{Ipv4Addr, Ipv6Addr};

/// An IPv4 or IPv6 address: one of a row of numbers.
pub trait Address: Copy + Ord + Hash + Debug + Display {
    /// Its place in the row.
    fn number(self) -> u128;

    /// The address at this place, which the family has.
    fn numbered(number: u128) -> Self;
}

impl Address for Ipv4Addr {
    fn number(self) -> u128 {
        self.to_bits().into()
    }

    fn numbered(number: u128) -> Self {
        Self::from_bits(number as u32)
    }
}

impl Address for Ipv6Addr {
    fn number(self) -> u128 {
        self.to_bits()
    }

    fn numbered(number: u128) -> Self {
        Self::from_bits(number)
    }
}
