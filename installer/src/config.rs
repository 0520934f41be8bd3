//! The installer's configuration, as the server has it for this machine.

use anyhow::{Context, Result};
use lab_model::InstallerConfig;
use ureq::Agent;

use crate::{Patience, fetch};

/// Fetches and reads the configuration.
///
/// # Errors
/// The server cannot be reached, does not know this machine, or speaks another language than this installer.
pub fn fetch(agent: &Agent, url: &str, patience: Patience) -> Result<InstallerConfig> {
    let text = fetch::document(agent, url, LONGEST, patience)?;
    serde_json::from_slice(&text).with_context(|| {
        format!("{url}: expected the installer's configuration; do server and installer have the same version?")
    })
}

/// The table of an image of some hundred GiB.
const LONGEST: u64 = 16 << 20;
