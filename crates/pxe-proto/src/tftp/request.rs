//! What comes in on the listening port: a file to read, something to refuse, or noise.

use super::{Asked, ErrorCode, Malformed, Packet, Request, name, printable};

/// Judges a datagram that came in on the listening port, before any file is looked up.
pub fn admit(datagram: &[u8]) -> Admission {
    match Packet::parse(datagram) {
        Ok(Packet::ReadRequest(request)) => read(&request),
        Ok(Packet::WriteRequest(request)) => Admission::Refuse(Refusal::Write(printable(request.name))),
        Ok(Packet::Data { .. } | Packet::Ack { .. } | Packet::Error { .. } | Packet::OptionAck(_)) => {
            Admission::Ignore(Ignored::NoRequest)
        }
        Err(malformed) => Admission::Ignore(Ignored::Malformed(malformed)),
    }
}

fn read(request: &Request<'_>) -> Admission {
    if !request.mode.eq_ignore_ascii_case(b"octet") {
        return Admission::Refuse(Refusal::Mode(printable(request.mode)));
    }
    match name::clean(request.name) {
        Some(name) => Admission::Read(ReadRequest { name, options: Asked::read(request.options) }),
        None => Admission::Refuse(Refusal::NotFound(printable(request.name))),
    }
}

/// What is to be done with a datagram on the listening port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Look the file up and start a transfer, or answer [`Refusal::NotFound`].
    Read(ReadRequest),
    /// Answer with this error.
    Refuse(Refusal),
    /// Answer nothing: an answer to what is no request only helps who sends with a forged address.
    Ignore(Ignored),
}

/// A client wants a file, in octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// Printable ASCII, 1 to 255 octets, without leading separators.
    pub name: String,
    /// What the client wishes to negotiate.
    pub options: Asked,
}

/// Why a request is answered by an error. Names and modes in it are printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No file has this name.
    NotFound(String),
    /// The client wants to write.
    Write(String),
    /// The mode is not `octet`. Boot firmware asks for nothing else; `netascii`, which some clients for people ask for
    /// by default, would rewrite every line end in a boot program.
    Mode(String),
    /// All transfers that the server allows itself are taken.
    Busy,
    /// All transfers that one client is allowed are taken.
    ClientBusy,
    /// The server has no socket or memory left.
    NoResources,
}

impl Refusal {
    /// What the error packet says to programs.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound(_) => ErrorCode::FILE_NOT_FOUND,
            Self::Write(_) => ErrorCode::ACCESS_VIOLATION,
            Self::Mode(_) | Self::Busy | Self::ClientBusy | Self::NoResources => ErrorCode::NOT_DEFINED,
        }
    }

    /// Replaces the buffer's contents by the error packet.
    pub fn write(&self, buffer: &mut Vec<u8>) {
        Packet::Error { code: self.code(), message: self.to_string().as_bytes() }.write(buffer);
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound(name) => write!(f, "no such file: {name}"),
            Self::Write(_) => f.write_str("this server is read-only"),
            Self::Mode(mode) => write!(f, "mode {mode} is not served: ask for octet (\"binary\")"),
            Self::Busy => f.write_str("too many transfers, try again later"),
            Self::ClientBusy => f.write_str("too many transfers from this address, try again later"),
            Self::NoResources => f.write_str("out of resources, try again later"),
        }
    }
}

/// Why a datagram on the listening port gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// It is no TFTP packet.
    #[error(transparent)]
    Malformed(Malformed),
    /// It belongs to a transfer, and transfers have ports of their own.
    #[error("not a request")]
    NoRequest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_a_read_in_octets_whatever_the_case_of_its_mode() {
        for mode in ["octet", "OCTET", "Octet"] {
            let datagram = format!("\0\x01/ipxe.efi\0{mode}\0blksize\x001432\0tsize\x000\0");

            let options = Asked { block_size: Some(1432), transfer_size: true, ..Asked::default() };
            let request = ReadRequest { name: "ipxe.efi".to_owned(), options };
            assert_eq!(admit(datagram.as_bytes()), Admission::Read(request), "{mode}");
        }
    }

    #[test]
    fn admits_what_firmware_asks() {
        let edk2 = Asked { block_size: Some(1468), window: Some(4), ..Asked::default() };
        let ipxe = Asked { block_size: Some(1432), transfer_size: true, ..Asked::default() };
        for (from, datagram, name, options) in [
            (
                "AAVMF 2022.11, the size probe",
                b"\0\x01ipxe-arm64.efi\0octet\0tsize\x000\0blksize\x001468\0windowsize\x004\0".as_slice(),
                "ipxe-arm64.efi",
                Asked { transfer_size: true, ..edk2 },
            ),
            (
                "AAVMF 2022.11, the read",
                b"\0\x01ipxe-arm64.efi\0octet\0blksize\x001468\0windowsize\x004\0",
                "ipxe-arm64.efi",
                edk2,
            ),
            (
                "iPXE 1.21.1+git20250501 on EFI",
                b"\0\x01autoexec.ipxe\0octet\0blksize\x001432\0tsize\x000\0",
                "autoexec.ipxe",
                ipxe,
            ),
            (
                "QEMU's iPXE option ROM on BIOS",
                b"\0\x01undionly.kpxe\0octet\0blksize\x001432\0tsize\x000\0",
                "undionly.kpxe",
                ipxe,
            ),
        ] {
            let request = ReadRequest { name: name.to_owned(), options };
            assert_eq!(admit(datagram), Admission::Read(request), "{from}");
        }
    }

    #[test]
    fn refuses_with_the_code_and_words_that_fit() {
        for (datagram, code, words) in [
            (b"\0\x02a\0octet\0".as_slice(), 2, "this server is read-only"),
            (b"\0\x01a\0netascii\0", 0, "mode netascii is not served: ask for octet (\"binary\")"),
            (b"\0\x01a\0mail\0", 0, "mode mail is not served: ask for octet (\"binary\")"),
            (b"\0\x01a\0\x1b[2J\0", 0, "mode \\x1b[2J is not served: ask for octet (\"binary\")"),
            (b"\0\x01\0octet\0", 1, "no such file: "),
            (b"\0\x01a\r\nb\0octet\0", 1, "no such file: a\\r\\nb"),
        ] {
            let Admission::Refuse(refusal) = admit(datagram) else { panic!("{}", datagram.escape_ascii()) };
            let mut buffer = Vec::new();
            refusal.write(&mut buffer);

            let error = Packet::Error { code: ErrorCode(code), message: words.as_bytes() };
            assert_eq!(Packet::parse(&buffer), Ok(error));
        }
    }

    #[test]
    fn answers_nothing_to_what_is_no_request() {
        for datagram in [b"\0\x03\0\x01data".as_slice(), b"\0\x04\0\0", b"\0\x05\0\0\0", b"\0\x06"] {
            assert_eq!(admit(datagram), Admission::Ignore(Ignored::NoRequest));
        }
        assert_eq!(admit(b"GET / HTTP/1.1"), Admission::Ignore(Ignored::Malformed(Malformed::Opcode(0x4745))));
    }
}
