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
    /// RFC 2132 §8.4.
    pub(in crate::dhcp) const VENDOR: u8 = 43;
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
    /// RFC 2132 §9.8.
    pub(in crate::dhcp) const PARAMETER_REQUEST_LIST: u8 = 55;
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
    /// RFC 4702 §2.
    pub(in crate::dhcp) const CLIENT_FQDN: u8 = 81;
    /// RFC 3046 §2.
    pub(in crate::dhcp) const RELAY_AGENT: u8 = 82;
    /// RFC 4578 §2.1.
    pub(in crate::dhcp) const ARCHITECTURE: u8 = 93;
    /// RFC 4578 §2.3.
    pub(in crate::dhcp) const UUID: u8 = 97;
    /// RFC 3011 §2.
    pub(in crate::dhcp) const SUBNET_SELECTION: u8 = 118;
    /// The range that iPXE uses for its own settings, encapsulated.
    pub(in crate::dhcp) const IPXE: u8 = 175;
    /// RFC 2132 §3.2.
    pub(in crate::dhcp) const END: u8 = 255;
}

/// The options of a reply, in the order in which they are written and in which they matter; none is there twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    all: Vec<Written>,
}

/// An option of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    code: u8,
    data: Vec<u8>,
    is_padded: bool,
}

impl Options {
    /// Appends one option; one that is empty is left out.
    pub(super) fn push(&mut self, code: u8, data: &[u8]) {
        if !data.is_empty() {
            self.all.push(Written { code, data: data.to_vec(), is_padded: false });
        }
    }

    /// Appends one option with a byte of padding behind it.
    pub(super) fn push_padded(&mut self, code: u8, data: &[u8]) {
        self.all.push(Written { code, data: data.to_vec(), is_padded: true });
    }

    /// Has the option say this, whether or not it says something already.
    pub(super) fn set(&mut self, code: u8, data: &[u8]) {
        match self.all.iter_mut().find(|written| written.code == code) {
            Some(written) => written.data = data.to_vec(),
            None => self.push(code, data),
        }
    }

    /// Has what the client wants behind what it needs, in the order in which it asks (RFC 2132 §9.8), and leaves out what
    /// it does not ask for.
    pub(super) fn order(&mut self, needed: impl Fn(u8) -> bool, wanted: &[u8]) {
        let place = |written: &Written| match needed(written.code) {
            true => Some(0),
            false => wanted.iter().position(|code| *code == written.code).map(|at| at + 1),
        };
        self.all.retain(|written| place(written).is_some());
        self.all.sort_by_key(place);
    }

    /// How many bytes they take.
    pub(super) fn len(&self) -> usize {
        self.all.iter().map(Written::len).sum()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Written> {
        self.all.iter()
    }
}

impl Written {
    /// How many bytes it takes.
    pub(super) fn len(&self) -> usize {
        self.data.len() + 2 * self.data.len().div_ceil(PART) + usize::from(self.is_padded)
    }

    /// Appends its wire format; one longer than 255 bytes is split (RFC 3396 §6).
    pub(super) fn write(&self, area: &mut Vec<u8>) {
        for part in self.data.chunks(PART) {
            area.extend_from_slice(&[self.code, part.len() as u8]);
            area.extend_from_slice(part);
        }
        if self.is_padded {
            area.push(code::PAD);
        }
    }
}

/// RFC 2132 §2: the length of an option is one byte.
const PART: usize = u8::MAX as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_option_is_split() {
        let mut options = Options::default();
        options.push(code::CLIENT_ID, &[7; 300]);

        let bytes = written(&options);

        assert_eq!((bytes.len(), options.len()), (300 + 4, 300 + 4));
        assert_eq!(bytes[..3], [61, 255, 7]);
        assert_eq!(bytes[257..260], [61, 45, 7]);
    }

    #[test]
    fn what_is_wanted_comes_as_it_was_asked_for_behind_what_is_needed() {
        let mut options = Options::default();
        options.push(code::SERVER, &[10, 77, 0, 1]);
        options.push(code::DOMAIN, b"lab");
        options.push(code::BROADCAST, &[10, 77, 0, 255]);
        options.push_padded(code::BOOT_FILE, b"f");
        options.push(code::HOST_NAME, b"web");

        options.order(
            |code| [code::SERVER, code::BOOT_FILE].contains(&code),
            &[code::HOST_NAME, code::ROUTER, code::DOMAIN],
        );

        let expected =
            [&[54, 4, 10, 77, 0, 1, 67, 1, b'f', 0][..], &[12, 3, b'w', b'e', b'b', 15, 3, b'l', b'a', b'b']];
        assert_eq!(written(&options), expected.concat());
    }

    fn written(options: &Options) -> Vec<u8> {
        let mut bytes = Vec::new();
        options.iter().for_each(|option| option.write(&mut bytes));
        bytes
    }
}
