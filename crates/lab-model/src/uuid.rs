//! The identities that machines' makers gave them.

use std::fmt;
use std::str::FromStr;

/// A machine's UUID as its SMBIOS tables have it (`dmidecode -s system-uuid`), shown in lower case:
/// `4c4c4544-0042-3510-8052-b4c04f564433`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// The UUID of these bytes in the order of its text (RFC 9562 §4), as RFC 6355 §4 has them in a DUID.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The UUID of these bytes in the order of SMBIOS 2.6 §7.2.1, whose first three fields begin with the lowest byte. RFC 4578 §2.3 has them so,
    /// and EDK2 in a DUID too.
    pub const fn of_smbios([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]: [u8; 16]) -> Self {
        Self([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
    }

    /// Whether it tells a machine from others: boards whose maker set none have zeros or ones throughout.
    pub fn is_set(self) -> bool {
        self.0 != [0; 16] && self.0 != [0xff; 16]
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let hyphen = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{hyphen}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Uuid {
    type Err = NotUuid;

    /// Reads hexadecimal digits of any case in groups of 8, 4, 4, 4 and 12.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NotUuid(text.to_owned());
        if !text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) {
            return Err(refused());
        }
        let mut digits = text.bytes().filter(|byte| *byte != b'-');
        let mut digit = || digits.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or_else(refused);
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            *byte = (digit()? << 4 | digit()?) as u8;
        }
        Ok(Self(bytes))
    }
}

/// The text is no UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a UUID: expected a form such as `4c4c4544-0042-3510-8052-b4c04f564433`")]
pub struct NotUuid(String);

text_serde!(Uuid);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_of_its_bytes_are_the_same_uuid() {
        let uuid: Uuid = "00112233-4455-6677-8899-AABBCCDDEEFF".parse().expect("a UUID");

        assert_eq!(uuid.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
        let network = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77];
        let smbios = [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66];
        let whole = |first: [u8; 8]| {
            let mut bytes = [0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff].repeat(2);
            bytes[..8].copy_from_slice(&first);
            <[u8; 16]>::try_from(bytes).expect("sixteen")
        };
        assert_eq!((Uuid::new(whole(network)), Uuid::of_smbios(whole(smbios))), (uuid, uuid));
    }

    #[test]
    fn refuses_what_is_no_uuid() {
        for text in [
            "",
            "00112233-4455-6677-8899",
            "00112233445566778899aabbccddeeff",
            "0011223é-4455-6677-8899-aabbccddeeff",
            "0011223g-4455-6677-8899-aabbccddeeff",
        ] {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
    }

    #[test]
    fn some_boards_have_none() {
        assert!(!Uuid::new([0; 16]).is_set() && !Uuid::new([0xff; 16]).is_set());
        assert!(Uuid::new([1; 16]).is_set());
    }
}
