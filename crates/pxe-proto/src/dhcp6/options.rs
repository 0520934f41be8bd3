//! Options: codes, and how they are read and written (RFC 8415 §21.1).

use super::Ignored;

/// The options that are read or written here; RFC 8415 §21 unless another is named.
pub(super) mod code {
    pub(in crate::dhcp6) const CLIENT_ID: u16 = 1;
    pub(in crate::dhcp6) const SERVER_ID: u16 = 2;
    pub(in crate::dhcp6) const IA_NA: u16 = 3;
    pub(in crate::dhcp6) const IA_ADDRESS: u16 = 5;
    pub(in crate::dhcp6) const REQUESTED: u16 = 6;
    pub(in crate::dhcp6) const PREFERENCE: u16 = 7;
    pub(in crate::dhcp6) const RELAY_MESSAGE: u16 = 9;
    pub(in crate::dhcp6) const STATUS: u16 = 13;
    pub(in crate::dhcp6) const RAPID_COMMIT: u16 = 14;
    pub(in crate::dhcp6) const USER_CLASS: u16 = 15;
    pub(in crate::dhcp6) const VENDOR_CLASS: u16 = 16;
    pub(in crate::dhcp6) const INTERFACE_ID: u16 = 18;
    /// RFC 3646 §3.
    pub(in crate::dhcp6) const DNS: u16 = 23;
    /// RFC 3646 §4.
    pub(in crate::dhcp6) const DOMAINS: u16 = 24;
    /// RFC 4704 §4.
    pub(in crate::dhcp6) const CLIENT_NAME: u16 = 39;
    /// RFC 5970 §3.1.
    pub(in crate::dhcp6) const BOOT_FILE_URL: u16 = 59;
    /// RFC 5970 §3.3.
    pub(in crate::dhcp6) const ARCHITECTURE: u16 = 61;
    /// RFC 6939 §4.
    pub(in crate::dhcp6) const LINK_LAYER_ADDRESS: u16 = 79;
}

/// Reads options to the end of the bytes, in their order.
///
/// # Errors
/// One is cut off.
pub(super) fn read(mut bytes: &[u8]) -> Result<Vec<(u16, &[u8])>, Ignored> {
    let mut options = Vec::new();
    while !bytes.is_empty() {
        let [a, b, c, d, rest @ ..] = bytes else { return Err(Ignored::MalformedOption(0)) };
        let (code, length) = (u16::from_be_bytes([*a, *b]), usize::from(u16::from_be_bytes([*c, *d])));
        let (data, others) = rest.split_at_checked(length).ok_or(Ignored::MalformedOption(code))?;
        options.push((code, data));
        bytes = others;
    }
    Ok(options)
}

/// Reads classes, each behind its length (RFC 8415 §21.15); what is cut off is left out.
pub(super) fn classes(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut classes = Vec::new();
    while let [a, b, rest @ ..] = bytes
        && let Some((class, others)) = rest.split_at_checked(usize::from(u16::from_be_bytes([*a, *b])))
    {
        classes.push(class);
        bytes = others;
    }
    classes
}

/// Appends one option. What is longer than an option can be is left out.
pub(super) fn push(message: &mut Vec<u8>, code: u16, data: &[u8]) {
    let Ok(length) = u16::try_from(data.len()) else { return };
    message.extend(code.to_be_bytes());
    message.extend(length.to_be_bytes());
    message.extend(data);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_cut_off_is_malformed() {
        assert_eq!(read(&[]), Ok(vec![]));
        assert_eq!(read(&[0, 1, 0, 1, 7, 0, 2, 0, 0]), Ok(vec![(1, &[7][..]), (2, &[])]));
        assert_eq!(read(&[0, 1, 0]), Err(Ignored::MalformedOption(0)));
        assert_eq!(read(&[0, 1, 0, 2, 7]), Err(Ignored::MalformedOption(1)));
        assert_eq!(classes(&[0, 4, b'i', b'P', b'X', b'E', 0, 9, b'?']), [b"iPXE"]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(options in prop::collection::vec((any::<u16>(), prop::collection::vec(any::<u8>(), 0..50)), 0..20)) {
            let mut message = Vec::new();

            options.iter().for_each(|(code, data)| push(&mut message, *code, data));

            let expected: Vec<_> = options.iter().map(|(code, data)| (*code, &data[..])).collect();
            prop_assert_eq!(read(&message), Ok(expected));
        }
    }
}
