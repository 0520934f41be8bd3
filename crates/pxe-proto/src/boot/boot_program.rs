//! The programs that firmware loads first.

/// A program that firmware loads first, and that fetches everything else over HTTP: iPXE, built for that firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BootProgram {
    /// On top of the PXE ROM's own driver, for BIOS.
    UndionlyKpxe,
    /// With its own drivers, for x86-64 UEFI.
    IpxeX86_64Efi,
    /// With its own drivers, for 64-bit Arm UEFI.
    IpxeArm64Efi,
}

impl BootProgram {
    /// Every boot program.
    pub const ALL: [Self; 3] = [Self::UndionlyKpxe, Self::IpxeX86_64Efi, Self::IpxeArm64Efi];

    /// The name by which it is asked for, over TFTP and HTTP.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::UndionlyKpxe => "undionly.kpxe",
            Self::IpxeX86_64Efi => "ipxe-x86_64.efi",
            Self::IpxeArm64Efi => "ipxe-arm64.efi",
        }
    }

    /// The program that is asked for by this name; case counts.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|program| program.file_name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_program_is_found_by_its_exact_name() {
        for program in BootProgram::ALL {
            assert_eq!(BootProgram::named(program.file_name()), Some(program));
        }
        for name in ["", "/ipxe-arm64.efi", "../ipxe-arm64.efi", "IPXE-ARM64.EFI", "ipxe-arm64.efi\0"] {
            assert_eq!(BootProgram::named(name), None, "{name:?}");
        }
    }
}
