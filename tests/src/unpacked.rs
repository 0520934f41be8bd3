//! Programs of Debian packages that are unpacked and not installed, with the libraries that they need.
//!
//! As packages some of them exclude each other, and they would start by themselves. `cargo xtask` fetches them.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::process::bound;

/// The folder where they are.
#[derive(Clone, Debug)]
pub struct Unpacked(PathBuf);

impl Unpacked {
    /// The variable with the folder of [`TftpPeers`](crate::TftpPeers)' servers, for [`Unpacked::from_environment`] in another process.
    pub const TFTP_VARIABLE: &str = "PVMLAB_TEST_TFTP_PEERS";
    /// The variable with the folder of [`NETWORK_MANAGER`](Self::NETWORK_MANAGER).
    pub const NETWORK_MANAGER_VARIABLE: &str = "PVMLAB_TEST_NETWORK_MANAGER";
    /// NetworkManager, which installed would take over the network of the machine that tests, and the bus that it needs.
    pub const NETWORK_MANAGER: [&str; 7] =
        ["network-manager", "dbus-daemon", "libndp0", "libdbus-1-3", "libglib2.0-0", "libexpat1", "libapparmor1"];

    /// Programs that are in this folder.
    pub fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Programs that are in the folder which this variable names.
    ///
    /// # Errors
    /// This process was not started by `cargo xtask test`, or by somebody who did the same.
    pub fn from_environment(variable: &str) -> Result<Self> {
        let folder = env::var_os(variable);
        folder
            .map(|folder| Self(folder.into()))
            .with_context(|| format!("{variable} is not set: run `cargo xtask test`"))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The command that runs a program, such as `usr/sbin/atftpd`, for as long as this thread lives.
    pub fn command(&self, program: &str) -> Command {
        let mut command = bound(self.0.join(program));
        command.env("LD_LIBRARY_PATH", self.libraries());
        command
    }

    /// Where the dynamic linker finds their libraries, as `LD_LIBRARY_PATH` has it.
    pub fn libraries(&self) -> String {
        let multiarch = format!("{}-linux-gnu", env::consts::ARCH);
        ["lib", "usr/lib"].map(|place| self.0.join(place).join(&multiarch).display().to_string()).join(":")
    }
}
