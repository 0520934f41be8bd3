//! What programs are built for.

use std::{env, fmt};

use lab_model::Arch;

/// A kind of machine that programs are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Linux with whatever libraries, or none: programs are static.
    Linux(Arch),
    /// A Mac with Apple's own processor: programs need the system's own library and no other.
    MacOs,
}

impl Target {
    /// What the compiler calls it.
    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::Linux(Arch::Aarch64) => "aarch64-unknown-linux-gnu",
            Self::Linux(Arch::X86_64) => "x86_64-unknown-linux-gnu",
            Self::MacOs => "aarch64-apple-darwin",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linux(arch) => arch.fmt(formatter),
            Self::MacOs => formatter.write_str("macOS"),
        }
    }
}

/// The C compiler for Linux on `arch`: it links, and builds the C code of dependencies.
pub(super) fn compiler(arch: Arch) -> &'static str {
    match arch {
        _ if is_native(arch) => "cc",
        Arch::Aarch64 => "aarch64-linux-gnu-gcc",
        Arch::X86_64 => "x86_64-linux-gnu-gcc",
    }
}

/// The variable by which cargo is told what links for Linux on `arch`.
pub(super) fn linker_variable(arch: Arch) -> &'static str {
    match arch {
        Arch::Aarch64 => "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
        Arch::X86_64 => "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
    }
}

fn is_native(arch: Arch) -> bool {
    cfg!(target_os = "linux") && env::consts::ARCH == arch.as_str()
}
