use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::ui::Ui;

/// Makes the lab's home and its SSH key.
///
/// Running it again changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab setup\n  PVMLAB_HOME=/srv/lab pvmlab setup")]
pub(crate) struct Setup {}

impl Setup {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        home.create()?;
        let _lock = home.lock()?;
        let key = home.ssh().join("id_ed25519");
        if !key.exists() {
            generate_key(&key)?;
        }
        ui.say(format_args!("the lab is in {}", home.root().display()));
        Ok(())
    }
}

/// Made under another name and renamed, so that an interrupted command leaves no half of a pair.
fn generate_key(key: &std::path::Path) -> Result<()> {
    let folder = tempfile::tempdir_in(key.parent().context("a key is in a folder")?).context("cannot make a folder")?;
    let new = folder.path().join("key");
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "pvmlab", "-f"]).arg(&new).stdin(Stdio::null());
    let status = keygen.status().map_err(|error| {
        Failure::new(Kind::Missing, format!("cannot run ssh-keygen: {error}"))
            .hinted("install OpenSSH's client (package `openssh-client` on Debian and Ubuntu)")
    })?;
    if !status.success() {
        return Err(Failure::new(Kind::Failed, format!("ssh-keygen failed ({status})")));
    }
    std::fs::rename(new.with_extension("pub"), key.with_extension("pub"))
        .context("cannot put the public key in place")?;
    std::fs::rename(&new, key).context("cannot put the key in place")?;
    Ok(())
}
