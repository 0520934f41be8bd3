//! The checks that come before anything reads a datagram's fields.

use std::ops::Range;

use dhcproto::v4::borrowed::Message;

use super::Ignored;

/// RFC 2131 §2: the fixed fields, 236 bytes, and the cookie of four.
pub(super) const HEADER: usize = 240;

/// RFC 2131 §2: the place of `sname`.
pub(super) const SNAME: Range<usize> = 44..108;

/// RFC 2131 §2: the place of `file`.
pub(super) const FILE: Range<usize> = 108..236;

/// RFC 2131 §3: says that options follow.
pub(super) const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];

/// RFC 951 §3: a client's message.
const BOOT_REQUEST: u8 = 1;

/// RFC 2131 §2: the room for a hardware address.
const CHADDR: u8 = 16;

/// Lets through what can be read as a client's message, whatever its options are.
///
/// The decoder slices the hardware address by the length that the packet claims, and would panic at more than the field
/// holds.
pub(super) fn admit(bytes: &[u8]) -> Result<Message<'_>, Ignored> {
    let Some(header) = bytes.get(..HEADER) else { return Err(Ignored::TooShort(bytes.len())) };
    match header {
        [op, ..] if *op != BOOT_REQUEST => Err(Ignored::NotARequest(*op)),
        [_, _, hlen, ..] if *hlen > CHADDR => Err(Ignored::HardwareAddressTooLong(*hlen)),
        _ if !header.ends_with(&COOKIE) => Err(Ignored::NoCookie),
        _ => Message::new(bytes).map_err(|_| Ignored::TooShort(bytes.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_the_decoder_would_stumble_over() {
        let refused = |change: fn(&mut Vec<u8>)| {
            let mut bytes = vec![0; HEADER];
            (bytes[0], bytes[1], bytes[2]) = (1, 1, 6);
            bytes[236..].copy_from_slice(&COOKIE);
            change(&mut bytes);
            admit(&bytes).err()
        };

        assert_eq!(refused(|_| ()), None);
        assert_eq!(refused(|bytes| bytes.truncate(239)), Some(Ignored::TooShort(239)));
        assert_eq!(refused(Vec::clear), Some(Ignored::TooShort(0)));
        assert_eq!(refused(|bytes| bytes[0] = 2), Some(Ignored::NotARequest(2)));
        assert_eq!(refused(|bytes| bytes[2] = 16), None);
        assert_eq!(refused(|bytes| bytes[2] = 17), Some(Ignored::HardwareAddressTooLong(17)));
        assert_eq!(refused(|bytes| bytes[239] = 0), Some(Ignored::NoCookie));
    }
}
