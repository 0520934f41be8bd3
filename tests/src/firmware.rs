//! The firmware that machines start with, as Debian's packages install it.

use std::path::Path;

use anyhow::{Context, Result};
use lab_model::Arch;

/// What runs when a machine is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rom {
    /// EDK2, with its own PXE and HTTP Boot.
    Uefi,
    /// SeaBIOS, with iPXE as the network card's option ROM; x86 only.
    Bios,
}

/// EDK2 for one architecture: the code, and an empty variable store that each machine gets a copy of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uefi {
    pub(crate) code: &'static Path,
    pub(crate) variables: &'static Path,
}

impl Uefi {
    /// # Errors
    /// It is not installed; the message has the package's name.
    pub(crate) fn find(arch: Arch) -> Result<Self> {
        let (package, code, variables) = match arch {
            Arch::Aarch64 => ("qemu-efi-aarch64", "/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
            Arch::X86_64 => ("ovmf", "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
        };
        let uefi = Self { code: Path::new(code), variables: Path::new(variables) };
        for file in [uefi.code, uefi.variables] {
            std::fs::metadata(file)
                .with_context(|| format!("cannot find {}: install the package {package}", file.display()))?;
        }
        Ok(uefi)
    }
}
