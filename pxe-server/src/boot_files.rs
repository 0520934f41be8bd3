//! The files that a network boot begins with: iPXE for each firmware, and the installer for each architecture.
//!
//! They are part of the program, so that a server is deployed by copying one file and cannot be missing one. They are
//! found in a table, by exact name: there is no path, so none can lead elsewhere.
//!
//! Deliberately not here: scripts, which `pxe_proto::boot` writes, and an image's kernel, initrd and disk, which an
//! image's manifest names.

use std::borrow::Cow;

use lab_model::Arch;
use pxe_proto::boot::BootProgram;

include!(concat!(env!("OUT_DIR"), "/boot_files.rs"));

/// A file that is embedded at build time; `cargo xtask boot-files` fetches and builds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum BootFile {
    /// What firmware loads first.
    Program(BootProgram),
    /// The installer, a static program.
    Installer(Arch),
}

impl BootFile {
    /// Every embedded file.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        BootProgram::ALL.into_iter().map(Self::Program).chain(Arch::ALL.into_iter().map(Self::Installer))
    }

    /// The network boot program that firmware asks for by this name over TFTP or HTTP; case counts.
    ///
    /// The installer is no network boot program: it has no name here, because machines fetch it inside an initrd.
    pub(crate) fn network_boot_program(name: &str) -> Option<Self> {
        BootProgram::named(name).map(Self::Program)
    }

    /// The file's name in the folder that `cargo xtask boot-files` fills.
    pub(crate) fn name(self) -> Cow<'static, str> {
        match self {
            Self::Program(program) => program.file_name().into(),
            Self::Installer(arch) => format!("installer-{arch}").into(),
        }
    }

    /// What the file holds, or nothing when the program was built without it.
    pub(crate) fn contents(self) -> Option<&'static [u8]> {
        EMBEDDED.iter().find(|(name, _)| *name == self.name()).map(|(_, contents)| *contents)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a file holds, in tests that need it.
    pub(crate) fn embedded(file: BootFile) -> &'static [u8] {
        let missing = || panic!("built without {}: run `cargo xtask boot-files`, then build again", file.name());
        file.contents().unwrap_or_else(missing)
    }

    #[test]
    fn firmware_finds_its_boot_program_by_exact_name() {
        for program in BootProgram::ALL {
            assert_eq!(BootFile::network_boot_program(program.file_name()), Some(BootFile::Program(program)));
        }
    }

    #[test]
    fn every_boot_program_is_among_those_that_are_fetched() {
        for program in BootProgram::ALL {
            let line = format!("name = \"{}\"\n", program.file_name());
            assert!(include_str!("../../ipxe/binaries.toml").contains(&line), "{line}");
        }
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
            assert_eq!(BootFile::network_boot_program(&BootFile::Installer(arch).name()), None);
        }
    }

    #[test]
    fn each_file_holds_what_its_name_says() {
        const MZ: &[u8] = b"MZ";
        const ELF: &[u8] = b"\x7fELF";

        for file in BootFile::all() {
            let contents = embedded(file);
            match file {
                BootFile::Program(BootProgram::IpxeArm64Efi | BootProgram::IpxeX86_64Efi) => {
                    assert!(contents.starts_with(MZ), "{file:?}");
                }
                BootFile::Program(BootProgram::UndionlyKpxe) => assert!(contents.len() > 64 << 10, "{file:?}"),
                BootFile::Installer(_) => assert!(contents.starts_with(ELF), "{file:?}"),
            }
        }
    }
}
