//! How a provisioner comes to the lab's definitions and images: it mounts the host's folders, or they are pushed to it.
//!
//! The provisioner finds out at each boot. What it found is remembered beside its seed, for those who ask while it is off.

use std::fmt;
use std::fs;

use anyhow::Context as _;
use lab_model::MachineName;

use crate::error::{Failure, Kind, Result};
use crate::file;
use crate::home::Home;
use crate::ssh::Login;

/// What a provisioner found out about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// How files get there.
    pub(crate) share: Share,
    /// Whether its image has `nft`, without which it is no way out for the others.
    pub(crate) has_nft: bool,
}

/// One of the two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// The folders themselves, over 9p.
    Mounted,
    /// Copies, since the kernel has no 9p or the folders are not for everybody to read.
    Pushed,
}

impl Found {
    /// Asks a provisioner that runs, and remembers what it says.
    ///
    /// # Errors
    /// It cannot be reached, or has not been set up to the end.
    pub(crate) fn ask(home: &Home, login: &Login) -> Result<Self> {
        let said = login.run("cat /run/pvmlab/share")?;
        let found = Self::read(&said).ok_or_else(|| {
            Failure::new(Kind::Failed, format!("{} does not say how it shares files with the host", login.machine()))
                .hinted("its first boot did not end well: see /var/log/cloud-init-output.log there")
        })?;
        let folder = home.seed(login.machine());
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        file::replace(&folder.join(FILE), said.as_bytes())?;
        Ok(found)
    }

    /// What was found at the latest boot that this host followed; `None`: none was.
    pub(crate) fn remembered(home: &Home, machine: &MachineName) -> Option<Self> {
        Self::read(&fs::read_to_string(home.seed(machine).join(FILE)).ok()?)
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let share = match lines.next()? {
            "9p" => Share::Mounted,
            "push" => Share::Pushed,
            _ => return None,
        };
        Some(Self { share, has_nft: !lines.any(|line| line == "no nft") })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Mounted => "9p",
            Self::Pushed => "push",
        })
    }
}

const FILE: &str = "share";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provisioner_says_is_read_and_nothing_else() {
        let mounted = Found { share: Share::Mounted, has_nft: true };

        assert_eq!(Found::read("9p\n"), Some(mounted));
        assert_eq!(Found::read("push\nno nft\n"), Some(Found { share: Share::Pushed, has_nft: false }));
        assert_eq!((Found::read(""), Found::read("nfs\n")), (None, None));
    }
}
