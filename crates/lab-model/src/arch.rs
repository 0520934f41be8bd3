//! The instruction sets that machines run.

use std::fmt;

/// What a machine's processor executes, and so which images and boot programs it can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// 64-bit Arm, also called arm64.
    Aarch64,
    /// 64-bit x86, also called amd64.
    X86_64,
}

impl Arch {
    /// Every architecture, in the order in which lists show them.
    pub const ALL: [Self; 2] = [Self::Aarch64, Self::X86_64];

    /// The name in definitions, paths and URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::X86_64 => "x86_64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Arch {
    type Err = NotArch;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "aarch64" | "arm64" => Ok(Self::Aarch64),
            "x86_64" | "amd64" => Ok(Self::X86_64),
            _ => Err(NotArch(text.to_owned())),
        }
    }
}

/// The text names no architecture that machines here can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an architecture: expected `aarch64` or `x86_64`")]
pub struct NotArch(String);

text_serde!(Arch);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_kernel_names_are_the_same_architecture() {
        assert_eq!("arm64".parse(), Ok(Arch::Aarch64));
        assert_eq!("amd64".parse(), Ok(Arch::X86_64));
        assert_eq!(
            "riscv64".parse::<Arch>().map_err(|error| error.to_string()),
            Err("`riscv64` is not an architecture: expected `aarch64` or `x86_64`".to_owned())
        );
    }
}
