//! A domain's name as DNS writes it (RFC 1035 §3.1), which both router advertisements and DHCPv6 carry.

/// The labels of `name`, each behind its length, and the root; `None` for what is no name: an empty label, or too long a one.
pub(crate) fn encode(name: &str) -> Option<Vec<u8>> {
    let mut encoded = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=LONGEST_LABEL).contains(length))?;
        encoded.push(length);
        encoded.extend_from_slice(label.as_bytes());
    }
    encoded.push(0);
    Some(encoded).filter(|encoded| encoded.len() <= LONGEST_NAME)
}

/// RFC 1035 §2.3.4, in bytes.
const LONGEST_LABEL: u8 = 63;

/// RFC 1035 §2.3.4, in bytes, with lengths and the root.
const LONGEST_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_behind_its_length() {
        assert_eq!(encode("pvmlab.local").as_deref(), Some(&b"\x06pvmlab\x05local\0"[..]));
        for name in ["", ".", "lab.", ".lab", "a..b", &"a".repeat(64), &"abcdefg.".repeat(32)] {
            assert_eq!(encode(name), None, "{name}");
        }
    }
}
