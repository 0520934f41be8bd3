//! What asks for an address: the program that runs on a machine before, or instead of, its operating system.

use serde::{Deserialize, Serialize};

use crate::Arch;

/// The kind of program that speaks to the server; it decides which boot file can help. Not to be mistaken for [`Arch`],
/// which is what the machine can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// A PXE ROM of an x86 BIOS (RFC 4578 §2.1, type 0).
    Bios,
    /// PXE in 64-bit x86 UEFI (types 7 and 9).
    UefiX64,
    /// PXE in 64-bit Arm UEFI (type 11).
    UefiArm64,
    /// UEFI HTTP Boot on 64-bit x86 (type 16).
    HttpX64,
    /// UEFI HTTP Boot on 64-bit Arm (type 19).
    HttpArm64,
    /// iPXE, whatever it runs on: it needs a script, not a boot program.
    Ipxe,
    /// Our own installer.
    Installer,
    /// An operating system that asks for an address and nothing else.
    Os,
    /// A network boot client of a type that we have no boot program for.
    Unsupported,
}

impl Firmware {
    /// Whether it is on its way to a system, and asks for more than an address: no installer, and no system that runs.
    pub const fn boots_from_the_network(self) -> bool {
        match self {
            Self::Installer | Self::Os => false,
            Self::Bios
            | Self::UefiX64
            | Self::UefiArm64
            | Self::HttpX64
            | Self::HttpArm64
            | Self::Ipxe
            | Self::Unsupported => true,
        }
    }

    /// What the machine can run, where the kind of firmware says so.
    pub const fn arch(self) -> Option<Arch> {
        match self {
            Self::Bios | Self::UefiX64 | Self::HttpX64 => Some(Arch::X86_64),
            Self::UefiArm64 | Self::HttpArm64 => Some(Arch::Aarch64),
            Self::Ipxe | Self::Installer | Self::Os | Self::Unsupported => None,
        }
    }
}
