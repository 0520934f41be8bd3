//! Several domain names in a row, compressed (RFC 3397 §2, RFC 1035 §4.1.4).

use std::collections::BTreeMap;

use crate::domain_name;

/// RFC 1035 §4.1.4: the two bits that say pointer; the other fourteen say where to.
const POINTER: u16 = 0xc000;

/// The names in wire format; `None` if one is no domain name.
pub(super) fn encode<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    // The ends of names, with where each is.
    let mut known = BTreeMap::<Vec<u8>, u16>::new();
    for name in names {
        let name = name.strip_suffix('.').unwrap_or(name);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let whole = domain_name::encode(name).filter(|_| name.bytes().all(plain))?;
        let mut rest = &whole[..];
        loop {
            let label = 1 + usize::from(rest[0]);
            if label == 1 {
                bytes.push(0);
                break;
            }
            if let Some(place) = known.get(rest) {
                bytes.extend((POINTER | place).to_be_bytes());
                break;
            }
            let place = u16::try_from(bytes.len()).ok().filter(|place| *place < 1 << 14);
            known.extend(place.map(|place| (rest.to_vec(), place)));
            bytes.extend_from_slice(&rest[..label]);
            rest = &rest[label..];
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 3397 §2.
    #[test]
    fn what_names_have_in_common_is_written_once() {
        let bytes = encode(["eng.apple.com.", "marketing.apple.com", "apple.com"]);

        assert_eq!(bytes.as_deref(), Some(&b"\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04\xc0\x04"[..]));
    }

    #[test]
    fn refuses_what_is_no_name() {
        for name in ["", ".", "a..b", "a b", "é", &"a".repeat(64), &"a.".repeat(130)] {
            assert_eq!(encode([name]), None, "{name}");
        }
    }
}
