//! Who asks: the machine's hardware address, and which program on it.

use lab_model::{Arch, Firmware, MacAddr, VENDOR_CLASS};

/// A client: one machine's interface, and the program that speaks for it at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its hardware address, by which it is known.
    pub mac: MacAddr,
    /// What asks.
    pub firmware: Firmware,
    /// Its client identifier (RFC 2132 §9.14), only to be echoed (RFC 6842 §3).
    pub(super) identifier: Option<Vec<u8>>,
}

/// What a client says of itself in its options; `None` where it does not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Classes<'a> {
    /// Option 60.
    pub(crate) vendor: Option<&'a [u8]>,
    /// Option 77.
    pub(crate) user: Option<&'a [u8]>,
    /// Option 93.
    pub(crate) architecture: Option<&'a [u8]>,
}

/// The user class by which iPXE says that it needs a script, not a boot program.
const IPXE: &[u8] = b"iPXE";

/// How the vendor class of every PXE client begins (RFC 4578 §2, PXE 2.1 §2.2.1), the architecture's five digits following.
const PXE_CLIENT: &[u8] = b"PXEClient";

/// How the vendor class of every UEFI HTTP Boot client begins (UEFI 2.10 §24.7.2), the architecture's five digits following.
const HTTP_CLIENT: &[u8] = b"HTTPClient";

impl Classes<'_> {
    /// The kind of program that says this of itself.
    pub(crate) fn firmware(self) -> Firmware {
        let vendor = self.vendor.unwrap_or_default();
        // iPXE keeps the vendor class and architecture of the firmware that it was started by.
        if self.user.is_some_and(is_ipxe) {
            return Firmware::Ipxe;
        }
        if vendor == VENDOR_CLASS.as_bytes() {
            return Firmware::Installer;
        }
        let http = vendor.starts_with(HTTP_CLIENT);
        if !http && !vendor.starts_with(PXE_CLIENT) {
            return Firmware::Os;
        }
        // RFC 4578 §2.1 lets a client list several types; the first one that can be helped counts.
        self.types().find_map(|kind| firmware_of(kind, http)).unwrap_or(Firmware::Unsupported)
    }

    /// What the machine can run, of which iPXE tells too.
    pub(super) fn arch(self) -> Option<Arch> {
        self.types().find_map(|kind| firmware_of(kind, false).or(firmware_of(kind, true))?.arch())
    }

    /// Its types, in option 93 and then in its vendor class.
    fn types(self) -> impl Iterator<Item = u16> {
        let listed = self.architecture.unwrap_or_default().chunks_exact(2);
        listed
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .chain(named_architecture(self.vendor.unwrap_or_default()))
    }
}

/// The firmware of this type (RFC 4578 §2.1 and IANA's "Processor Architecture Types"), where there is a boot program for it.
fn firmware_of(kind: u16, http: bool) -> Option<Firmware> {
    match (kind, http) {
        (0, false) => Some(Firmware::Bios),
        // 9 was "EBC" until the errata to RFC 4578 gave 7 that meaning; firmware of both kinds is x86-64.
        (7 | 9, false) => Some(Firmware::UefiX64),
        (11, false) => Some(Firmware::UefiArm64),
        (16, true) => Some(Firmware::HttpX64),
        (19, true) => Some(Firmware::HttpArm64),
        _ => None,
    }
}

/// Whether iPXE is among the user classes.
fn is_ipxe(user: &[u8]) -> bool {
    user_classes(user).any(|class| class == IPXE)
}

/// The user classes (RFC 3004 §4), and all of it as one: iPXE and others write the bare word where each class should come
/// behind its length.
pub(super) fn user_classes(user: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = user;
    let framed = std::iter::from_fn(move || {
        let (&length, others) = rest.split_first()?;
        let (class, others) = others.split_at_checked(usize::from(length))?;
        rest = others;
        Some(class)
    });
    std::iter::once(user).chain(framed)
}

/// The type in a vendor class such as `PXEClient:Arch:00011:UNDI:003000`.
fn named_architecture(vendor: &[u8]) -> Option<u16> {
    let text = str::from_utf8(vendor).ok()?;
    let mut fields = text.split(':').skip_while(|field| *field != "Arch");
    fields.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_firmware_is_known_by_its_type() {
        let firmware = |vendor: &str, kind: u16| {
            let architecture = kind.to_be_bytes();
            Classes { vendor: Some(vendor.as_bytes()), architecture: Some(&architecture), user: None }.firmware()
        };

        assert_eq!(firmware("PXEClient:Arch:00000:UNDI:002001", 0), Firmware::Bios);
        assert_eq!(firmware("PXEClient:Arch:00007:UNDI:003000", 7), Firmware::UefiX64);
        assert_eq!(firmware("PXEClient:Arch:00009:UNDI:003000", 9), Firmware::UefiX64);
        assert_eq!(firmware("PXEClient:Arch:00011:UNDI:003000", 11), Firmware::UefiArm64);
        assert_eq!(firmware("PXEClient:Arch:00006:UNDI:003000", 6), Firmware::Unsupported);
        assert_eq!(firmware("HTTPClient:Arch:00016:UNDI:003000", 16), Firmware::HttpX64);
        assert_eq!(firmware("HTTPClient:Arch:00019:UNDI:003000", 19), Firmware::HttpArm64);
        assert_eq!(firmware("HTTPClient:Arch:00015:UNDI:003000", 15), Firmware::Unsupported);
        assert_eq!(firmware("MSFT 5.0", 7), Firmware::Os);
    }

    #[test]
    fn ipxe_is_known_by_its_user_class_with_and_without_a_length() {
        let firmware = |user: &[u8]| {
            let vendor = Some(&b"PXEClient:Arch:00011:UNDI:003010"[..]);
            Classes { vendor, user: Some(user), architecture: Some(&[0, 11]) }.firmware()
        };

        assert_eq!(firmware(b"iPXE"), Firmware::Ipxe);
        assert_eq!(firmware(b"\x04iPXE"), Firmware::Ipxe);
        assert_eq!(firmware(b"\x03lab\x04iPXE"), Firmware::Ipxe);
        assert_eq!(firmware(b"iPXE2"), Firmware::UefiArm64);
        assert_eq!(firmware(b""), Firmware::UefiArm64);
    }

    #[test]
    fn our_installer_says_so() {
        let classes = Classes { vendor: Some(VENDOR_CLASS.as_bytes()), ..Classes::default() };

        assert_eq!(classes.firmware(), Firmware::Installer);
        assert_eq!(Classes::default().firmware(), Firmware::Os);
    }

    #[test]
    fn the_vendor_class_stands_in_for_a_missing_architecture() {
        let firmware =
            |vendor: &[u8], architecture| Classes { vendor: Some(vendor), user: None, architecture }.firmware();

        assert_eq!(firmware(b"PXEClient:Arch:00007:UNDI:003016", None), Firmware::UefiX64);
        assert_eq!(firmware(b"PXEClient:Arch:00007", Some(&[0])), Firmware::UefiX64);
        assert_eq!(firmware(b"PXEClient", Some(&[0, 6, 0, 7])), Firmware::UefiX64);
        assert_eq!(firmware(b"PXEClient", None), Firmware::Unsupported);
        assert_eq!(firmware(b"PXEClient:Arch:\xff", None), Firmware::Unsupported);
    }
}
