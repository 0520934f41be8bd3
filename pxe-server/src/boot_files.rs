//! The files that a network boot begins with: iPXE for each firmware, and the installer for each architecture.
//!
//! They are part of the program, so that a server is deployed by copying one file and cannot be missing one. They are
//! found in a table, by exact name: there is no path, so none can lead elsewhere.
//!
//! Deliberately not here: scripts, which `pxe_proto::boot` writes, and an image's kernel, initrd and disk, which an
//! image's manifest names.

use lab_model::Arch;

include!(concat!(env!("OUT_DIR"), "/boot_files.rs"));

/// A file that is embedded at build time; `cargo xtask boot-files` fetches and builds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum BootFile {
    /// iPXE with its own drivers, for 64-bit Arm UEFI.
    IpxeArm64Efi,
    /// iPXE with its own drivers, for x86-64 UEFI.
    IpxeX86_64Efi,
    /// iPXE on top of the PXE ROM's own driver, for BIOS.
    UndionlyKpxe,
    /// The installer, a static program.
    Installer(Arch),
}

impl BootFile {
    /// Every embedded file.
    pub(crate) const ALL: [Self; 5] = [
        Self::IpxeArm64Efi,
        Self::IpxeX86_64Efi,
        Self::UndionlyKpxe,
        Self::Installer(Arch::Aarch64),
        Self::Installer(Arch::X86_64),
    ];

    /// The network boot program that firmware asks for by this name over TFTP or HTTP; case counts.
    ///
    /// The installer is no network boot program: it has no name here, because machines fetch it inside an initrd.
    pub(crate) fn network_boot_program(name: &str) -> Option<Self> {
        [Self::IpxeArm64Efi, Self::IpxeX86_64Efi, Self::UndionlyKpxe].into_iter().find(|file| file.name() == name)
    }

    /// The file's name in the folder that `cargo xtask boot-files` fills, and over TFTP.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::IpxeArm64Efi => "ipxe-arm64.efi",
            Self::IpxeX86_64Efi => "ipxe-x86_64.efi",
            Self::UndionlyKpxe => "undionly.kpxe",
            Self::Installer(Arch::Aarch64) => "installer-aarch64",
            Self::Installer(Arch::X86_64) => "installer-x86_64",
        }
    }

    /// What the file holds, or nothing when the program was built without it.
    pub(crate) fn contents(self) -> Option<&'static [u8]> {
        match self {
            Self::IpxeArm64Efi => IPXE_ARM64_EFI,
            Self::IpxeX86_64Efi => IPXE_X86_64_EFI,
            Self::UndionlyKpxe => UNDIONLY_KPXE,
            Self::Installer(Arch::Aarch64) => INSTALLER_AARCH64,
            Self::Installer(Arch::X86_64) => INSTALLER_X86_64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_finds_its_boot_program_by_exact_name() {
        assert_eq!(BootFile::network_boot_program("ipxe-arm64.efi"), Some(BootFile::IpxeArm64Efi));
        assert_eq!(BootFile::network_boot_program("ipxe-x86_64.efi"), Some(BootFile::IpxeX86_64Efi));
        assert_eq!(BootFile::network_boot_program("undionly.kpxe"), Some(BootFile::UndionlyKpxe));
    }

    #[test]
    fn a_path_is_no_name() {
        for name in ["", "/ipxe-arm64.efi", "./ipxe-arm64.efi", "../etc/passwd", "IPXE-ARM64.EFI", "ipxe-arm64.efi\0"] {
            assert_eq!(BootFile::network_boot_program(name), None, "{name:?}");
        }
    }

    #[test]
    fn the_installer_is_no_network_boot_program() {
        for arch in Arch::ALL {
            assert_eq!(BootFile::network_boot_program(BootFile::Installer(arch).name()), None);
        }
    }

    #[test]
    fn each_file_holds_what_its_name_says() {
        const MZ: &[u8] = b"MZ";
        const ELF: &[u8] = b"\x7fELF";

        for file in BootFile::ALL {
            let Some(contents) = file.contents() else { continue };
            match file {
                BootFile::IpxeArm64Efi | BootFile::IpxeX86_64Efi => assert!(contents.starts_with(MZ), "{file:?}"),
                BootFile::Installer(_) => assert!(contents.starts_with(ELF), "{file:?}"),
                BootFile::UndionlyKpxe => assert!(contents.len() > 64 << 10, "{file:?}"),
            }
        }
    }
}
