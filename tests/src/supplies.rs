//! What is made before a lab can start.

use std::{env, path::PathBuf};

use anyhow::{Context, Result};

/// The programs and images that a lab runs.
#[derive(Clone, Debug)]
pub struct Supplies {
    /// The program `pxe-server`.
    pub server: PathBuf,
    /// The program `pvmlab`; beside it, in a folder for each architecture, the servers for provisioners.
    pub command: PathBuf,
    /// The folder of all images, with a folder for each name and in that one for each architecture.
    pub images: PathBuf,
}

impl Supplies {
    /// What `cargo xtask test` made.
    ///
    /// # Errors
    /// This process was not started by it, or by somebody who did the same.
    pub fn from_environment() -> Result<Self> {
        let path = |name| {
            let path = env::var_os(name).map(PathBuf::from);
            path.with_context(|| format!("{name} is not set: run `cargo xtask test`, which makes what labs need"))
        };
        Ok(Self { server: path(SERVER_VARIABLE)?, command: path(COMMAND_VARIABLE)?, images: path(IMAGES_VARIABLE)? })
    }

    /// The environment that hands these to [`Supplies::from_environment`] in another process.
    pub fn environment(&self) -> [(&'static str, &PathBuf); 3] {
        [(SERVER_VARIABLE, &self.server), (COMMAND_VARIABLE, &self.command), (IMAGES_VARIABLE, &self.images)]
    }
}

const SERVER_VARIABLE: &str = "PVMLAB_TEST_SERVER";
const COMMAND_VARIABLE: &str = "PVMLAB_TEST_COMMAND";
const IMAGES_VARIABLE: &str = "PVMLAB_TEST_IMAGES";
