//! Option codes, and how options are written.

/// The options of RFC 2132 and its successors that are read or written here.
pub(super) mod code {
    /// RFC 2132 §3.1.
    pub(in crate::dhcp) const PAD: u8 = 0;
    /// RFC 2132 §3.3.
    pub(in crate::dhcp) const SUBNET_MASK: u8 = 1;
    /// RFC 2132 §3.5.
    pub(in crate::dhcp) const ROUTER: u8 = 3;
    /// RFC 2132 §3.8.
    pub(in crate::dhcp) const DNS: u8 = 6;
    /// RFC 2132 §3.14.
    pub(in crate::dhcp) const HOST_NAME: u8 = 12;
    /// RFC 2132 §3.17.
    pub(in crate::dhcp) const DOMAIN: u8 = 15;
    /// RFC 2132 §5.3.
    pub(in crate::dhcp) const BROADCAST: u8 = 28;
    /// RFC 2132 §9.1.
    pub(in crate::dhcp) const REQUESTED_ADDRESS: u8 = 50;
    /// RFC 2132 §9.2.
    pub(in crate::dhcp) const LEASE_TIME: u8 = 51;
    /// RFC 2132 §9.3.
    pub(in crate::dhcp) const OVERLOAD: u8 = 52;
    /// RFC 2132 §9.6.
    pub(in crate::dhcp) const MESSAGE_TYPE: u8 = 53;
    /// RFC 2132 §9.7.
    pub(in crate::dhcp) const SERVER: u8 = 54;
    /// RFC 2132 §9.9.
    pub(in crate::dhcp) const MESSAGE: u8 = 56;
    /// RFC 2132 §9.10.
    pub(in crate::dhcp) const MAX_SIZE: u8 = 57;
    /// RFC 2132 §9.11.
    pub(in crate::dhcp) const RENEWAL_TIME: u8 = 58;
    /// RFC 2132 §9.12.
    pub(in crate::dhcp) const REBINDING_TIME: u8 = 59;
    /// RFC 2132 §9.13.
    pub(in crate::dhcp) const VENDOR_CLASS: u8 = 60;
    /// RFC 2132 §9.14.
    pub(in crate::dhcp) const CLIENT_ID: u8 = 61;
    /// RFC 2132 §9.4.
    pub(in crate::dhcp) const TFTP_SERVER: u8 = 66;
    /// RFC 2132 §9.5.
    pub(in crate::dhcp) const BOOT_FILE: u8 = 67;
    /// RFC 3004 §4.
    pub(in crate::dhcp) const USER_CLASS: u8 = 77;
    /// RFC 3046 §2.
    pub(in crate::dhcp) const RELAY_AGENT: u8 = 82;
    /// RFC 4578 §2.1.
    pub(in crate::dhcp) const ARCHITECTURE: u8 = 93;
    /// RFC 3011 §2.
    pub(in crate::dhcp) const SUBNET_SELECTION: u8 = 118;
    /// The range that iPXE uses for its own settings, encapsulated.
    pub(in crate::dhcp) const IPXE: u8 = 175;
    /// RFC 2132 §3.2.
    pub(in crate::dhcp) const END: u8 = 255;
}

/// Options in the order in which they are written, in their wire format, without the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    bytes: Vec<u8>,
}

impl Options {
    /// An empty list with room for a usual reply.
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(300) }
    }

    /// Appends one option; one longer than 255 bytes is split (RFC 3396 §6), one that is empty is left out.
    pub(super) fn push(&mut self, code: u8, data: &[u8]) {
        for part in data.chunks(usize::from(u8::MAX)) {
            self.bytes.push(code);
            self.bytes.push(part.len() as u8);
            self.bytes.extend_from_slice(part);
        }
    }

    /// Appends one byte of padding.
    pub(super) fn pad(&mut self) {
        self.bytes.push(code::PAD);
    }

    /// Takes the option with this code out again, wherever it is.
    pub(super) fn remove(&mut self, code: u8) {
        let mut at = 0;
        while let Some(&found) = self.bytes.get(at) {
            if found == code::PAD {
                at += 1;
                continue;
            }
            let end = at + 2 + usize::from(self.bytes.get(at + 1).copied().unwrap_or_default());
            if found == code {
                self.bytes.drain(at..end.min(self.bytes.len()));
            } else {
                at = end;
            }
        }
    }

    /// How many bytes they take.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Their wire format.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_option_is_split() {
        let mut options = Options::new();

        options.push(code::CLIENT_ID, &[7; 300]);

        assert_eq!(options.len(), 300 + 4);
        assert_eq!(options.as_bytes()[..3], [61, 255, 7]);
        assert_eq!(options.as_bytes()[257..260], [61, 45, 7]);
    }

    #[test]
    fn what_is_removed_leaves_the_others_in_order() {
        let mut options = Options::new();
        options.push(code::SERVER, &[10, 77, 0, 1]);
        options.push(code::DOMAIN, b"lab");
        options.pad();
        options.push(code::IPXE, &[0xb0, 1, 1]);

        options.remove(code::DOMAIN);

        assert_eq!(options.as_bytes(), [54, 4, 10, 77, 0, 1, 0, 175, 3, 0xb0, 1, 1]);
    }
}
