//! What a client calls itself, as far as it can be a machine's name.

use lab_model::MachineName;

/// RFC 4702 §2.1: the name is in the wire format of DNS.
const ENCODED: u8 = 0x04;

/// RFC 4702 §2: flags, and two codes that no longer mean anything.
const FQDN_HEADER: usize = 3;

/// Reads options 81 (RFC 4702) and 12 (RFC 2132 §3.14), the first of which counts if it has a name. The domain that a client
/// puts behind its name is not its own to choose: the first label is what counts.
pub(super) fn read(client_fqdn: Option<&[u8]>, hostname: Option<&[u8]>) -> Option<MachineName> {
    let first_label = |text: &[u8]| label(text.split(|byte| *byte == b'.').next()?);
    let fqdn = client_fqdn.and_then(|option| {
        let (header, name) = option.split_at_checked(FQDN_HEADER)?;
        if header[0] & ENCODED == 0 {
            return first_label(name);
        }
        encoded(name)
    });
    fqdn.or_else(|| first_label(hostname?))
}

/// The first label of a name in the wire format of DNS (RFC 1035 §3.1), which RFC 4704 §4.2 has in DHCPv6.
pub(crate) fn encoded(name: &[u8]) -> Option<MachineName> {
    let (&length, rest) = name.split_first()?;
    label(rest.get(..usize::from(length))?)
}

/// Some clients end the text with a zero, which RFC 2132 §2 tells servers to bear with.
fn label(bytes: &[u8]) -> Option<MachineName> {
    let text = str::from_utf8(bytes).ok()?.trim_end_matches('\0');
    text.to_ascii_lowercase().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_first_label_in_lower_case() {
        assert_eq!(host(b"laptop"), "laptop");
        assert_eq!(host(b"Laptop.example.com\0"), "laptop");
        assert_eq!(host(b"LAPTOP\0\0"), "laptop");
        for bad in [&b""[..], b".lab", b"my laptop", b"-", b"caf\xc3\xa9", b"\xff", &[b'a'; 64]] {
            assert_eq!(read(None, Some(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn the_longer_option_counts_in_either_form() {
        assert_eq!(fqdn(b"\x05\0\0\x06laptop\x03lab\0"), "laptop");
        assert_eq!(fqdn(b"\x01\0\0LAPTOP.lab"), "laptop");
        // What cannot be read does not hide the other.
        for bad in [&b""[..], b"\x05\0", b"\x04\0\0", b"\x04\0\0\x0alaptop", b"\x04\0\0\xc0\x0c"] {
            assert_eq!(fqdn(bad), "other", "{bad:?}");
        }
    }

    fn host(option: &[u8]) -> String {
        read(None, Some(option)).expect("a name").to_string()
    }

    fn fqdn(option: &[u8]) -> String {
        read(Some(option), Some(b"other")).expect("a name").to_string()
    }
}
