//! The wire format: six packets, read without copying and written into a buffer that the caller reuses.

use std::fmt;

use super::printable;

/// A TFTP packet (RFC 1350 §5, RFC 2347).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// RRQ: a client wants to read a file.
    ReadRequest(Request<'a>),
    /// WRQ: a client wants to write a file.
    WriteRequest(Request<'a>),
    /// DATA: one block of the file. Shorter than the block size, it is the last.
    Data {
        /// Counted from 1, modulo 65,536.
        block: u16,
        /// At most as long as the block size.
        payload: &'a [u8],
    },
    /// ACK: everything up to this block has arrived.
    Ack {
        /// 0 for an option acknowledgement.
        block: u16,
    },
    /// ERROR: the transfer is over.
    Error {
        /// What went wrong, for programs.
        code: ErrorCode,
        /// What went wrong, for people, without the final zero.
        message: &'a [u8],
    },
    /// OACK: the options that the server agrees to.
    OptionAck(Options<'a>),
}

impl<'a> Packet<'a> {
    /// Reads a packet from the payload of a UDP datagram.
    ///
    /// What follows an acknowledgement, and an option that lacks its value or its final zero, is passed over: firmware
    /// pads.
    ///
    /// # Errors
    /// The payload is no TFTP packet.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let (opcode, body) = split_u16(datagram)?;
        match opcode {
            READ_REQUEST => Request::parse(datagram, body).map(Self::ReadRequest),
            WRITE_REQUEST => Request::parse(datagram, body).map(Self::WriteRequest),
            DATA => split_u16(body).map(|(block, payload)| Self::Data { block, payload }),
            ACK => split_u16(body).map(|(block, _)| Self::Ack { block }),
            ERROR => {
                let (code, text) = split_u16(body)?;
                let message = text.split(|&byte| byte == 0).next().unwrap_or_default();
                Ok(Self::Error { code: ErrorCode(code), message })
            }
            OPTION_ACK => Ok(Self::OptionAck(Options(body))),
            other => Err(Malformed::Opcode(other)),
        }
    }

    /// Replaces the buffer's contents by this packet.
    pub fn write(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        self.append(buffer);
    }

    /// Writes this packet behind what the buffer has.
    pub fn append(&self, buffer: &mut Vec<u8>) {
        match *self {
            Self::ReadRequest(request) => request.write(READ_REQUEST, buffer),
            Self::WriteRequest(request) => request.write(WRITE_REQUEST, buffer),
            Self::Data { block, payload } => {
                put_u16(DATA, buffer);
                put_u16(block, buffer);
                buffer.extend_from_slice(payload);
            }
            Self::Ack { block } => {
                put_u16(ACK, buffer);
                put_u16(block, buffer);
            }
            Self::Error { code, message } => {
                put_u16(ERROR, buffer);
                put_u16(code.0, buffer);
                put_text(message, buffer);
            }
            Self::OptionAck(options) => {
                put_u16(OPTION_ACK, buffer);
                buffer.extend_from_slice(options.0);
            }
        }
    }
}

impl Packet<'_> {
    /// The length of a DATA packet with this much of a file.
    pub(super) fn data_length(payload: u16) -> usize {
        2 + 2 + usize::from(payload)
    }
}

/// What a read or write request says (RFC 1350 §5, RFC 2347).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The file's name as the client wrote it, without the final zero.
    pub name: &'a [u8],
    /// `octet`, `netascii` or `mail`, in any case.
    pub mode: &'a [u8],
    /// What the client wishes to negotiate.
    pub options: Options<'a>,
}

impl<'a> Request<'a> {
    fn parse(datagram: &[u8], body: &'a [u8]) -> Result<Self, Malformed> {
        if datagram.len() > REQUEST_MAX {
            return Err(Malformed::Long(datagram.len()));
        }
        let (name, rest) = split_text(body).ok_or(Malformed::Unterminated)?;
        let (mode, rest) = split_text(rest).ok_or(Malformed::Unterminated)?;
        Ok(Self { name, mode, options: Options(rest) })
    }

    fn write(&self, opcode: u16, buffer: &mut Vec<u8>) {
        put_u16(opcode, buffer);
        put_text(self.name, buffer);
        put_text(self.mode, buffer);
        buffer.extend_from_slice(self.options.0);
    }
}

/// Options as they are on the wire: names and values in turn, each ended by a zero (RFC 2347).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Options<'a>(&'a [u8]);

impl<'a> Options<'a> {
    /// Takes options that are in wire format already.
    pub fn from_wire(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The names and values, up to the first that is incomplete or has no name.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (name, after) = split_text(rest).filter(|(name, _)| !name.is_empty())?;
            let (value, after) = split_text(after)?;
            rest = after;
            Some((name, value))
        })
    }

    /// The value of an option; its name's case does not count (RFC 2347).
    pub fn value(self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (printable(name), printable(value)))).finish()
    }
}

/// Why a transfer ended or never began (RFC 1350 appendix, RFC 2347).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode(pub u16);

impl ErrorCode {
    /// None of the others: the message says what.
    pub const NOT_DEFINED: Self = Self(0);
    /// There is no such file.
    pub const FILE_NOT_FOUND: Self = Self(1);
    /// The file may not be read or written.
    pub const ACCESS_VIOLATION: Self = Self(2);
    /// The packet belongs to no transfer.
    pub const UNKNOWN_TRANSFER: Self = Self(5);
    /// The client does not want what was agreed, or wanted only to know the file's size.
    pub const OPTIONS_REFUSED: Self = Self(8);
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A datagram that is no TFTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends before its fixed part does.
    #[error("datagram too short")]
    Short,
    /// Neither RFC 1350 nor RFC 2347 knows this packet.
    #[error("unknown opcode {0}")]
    Opcode(u16),
    /// A request without the zero that ends its file name or mode.
    #[error("request without an end")]
    Unterminated,
    /// A request longer than a request may be.
    #[error("request of {0} octets")]
    Long(usize),
}

/// Adds an option to a buffer that holds a packet.
pub(super) fn put_option(name: &str, value: impl fmt::Display, buffer: &mut Vec<u8>) {
    put_text(name.as_bytes(), buffer);
    put_text(value.to_string().as_bytes(), buffer);
}

/// Begins an option acknowledgement; [`put_option`] continues it.
pub(super) fn begin_option_ack(buffer: &mut Vec<u8>) {
    Packet::OptionAck(Options::default()).write(buffer);
}

fn put_u16(value: u16, buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&value.to_be_bytes());
}

fn put_text(text: &[u8], buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(text);
    buffer.push(0);
}

fn split_u16(bytes: &[u8]) -> Result<(u16, &[u8]), Malformed> {
    let (value, rest) = bytes.split_first_chunk().ok_or(Malformed::Short)?;
    Ok((u16::from_be_bytes(*value), rest))
}

fn split_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// RFC 2347: "The maximum size of a request packet is 512 octets."
const REQUEST_MAX: usize = 512;

const READ_REQUEST: u16 = 1;
const WRITE_REQUEST: u16 = 2;
const DATA: u16 = 3;
const ACK: u16 = 4;
const ERROR: u16 = 5;
const OPTION_ACK: u16 = 6;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_octets_are_a_packet_or_malformed(octets in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(packet) = Packet::parse(&octets) {
                let _ = format!("{packet:?}");
            }
        }

        #[test]
        fn any_packet_survives_the_wire(
            kind in 0..6,
            number: u16,
            name in "[^\0]{0,60}",
            octets in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let options = Options::from_wire(&octets);
            let request = Request { name: name.as_bytes(), mode: b"octet", options };
            let packet = match kind {
                0 => Packet::ReadRequest(request),
                1 => Packet::WriteRequest(request),
                2 => Packet::Data { block: number, payload: &octets },
                3 => Packet::Ack { block: number },
                4 => Packet::Error { code: ErrorCode(number), message: name.as_bytes() },
                _ => Packet::OptionAck(options),
            };
            let mut buffer = b"left over".to_vec();

            packet.write(&mut buffer);

            prop_assert_eq!(Packet::parse(&buffer), Ok(packet));
        }
    }

    #[test]
    fn reads_what_edk2_asks() {
        let datagram = b"\0\x01ipxe-arm64.efi\0octet\0tsize\x000\0blksize\x001468\0windowsize\x004\0";

        let Ok(Packet::ReadRequest(request)) = Packet::parse(datagram) else { panic!("an RRQ") };

        assert_eq!((request.name, request.mode), (b"ipxe-arm64.efi".as_slice(), b"octet".as_slice()));
        let options: Vec<_> = request.options.iter().collect();
        assert_eq!(options, [(b"tsize".as_slice(), b"0".as_slice()), (b"blksize", b"1468"), (b"windowsize", b"4"),]);
    }

    #[test]
    fn an_option_without_value_or_end_is_passed_over() {
        for tail in ["", "blksize", "blksize\0", "blksize\x001024", "\0\0\0\0"] {
            let datagram = [b"\0\x01f\0octet\0tsize\x000\0", tail.as_bytes()].concat();

            let Ok(Packet::ReadRequest(request)) = Packet::parse(&datagram) else { panic!("an RRQ") };

            assert_eq!(request.options.iter().count(), 1, "{tail:?}");
        }
    }

    #[test]
    fn says_why_a_datagram_is_no_packet() {
        let long = [b"\0\x01f\0octet\0".as_slice(), &[0; 503]].concat();
        for (datagram, why) in [
            (b"".as_slice(), Malformed::Short),
            (b"\0", Malformed::Short),
            (b"\0\x03\0", Malformed::Short),
            (b"\0\x04\0", Malformed::Short),
            (b"\0\x05", Malformed::Short),
            (b"\0\0", Malformed::Opcode(0)),
            (b"\0\x07\0\0", Malformed::Opcode(7)),
            (b"\0\x01", Malformed::Unterminated),
            (b"\0\x01name", Malformed::Unterminated),
            (b"\0\x01name\0octet", Malformed::Unterminated),
            (&long, Malformed::Long(513)),
        ] {
            assert_eq!(Packet::parse(datagram), Err(why), "{}", datagram.escape_ascii());
        }
    }

    #[test]
    fn an_error_needs_no_final_zero() {
        let packet = Packet::Error { code: ErrorCode(3), message: b"disk full" };
        assert_eq!(Packet::parse(b"\0\x05\0\x03disk full"), Ok(packet));
        assert_eq!(Packet::parse(b"\0\x05\0\x03disk full\0padding"), Ok(packet));
    }
}
