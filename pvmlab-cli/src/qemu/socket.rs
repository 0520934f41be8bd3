//! Sockets in the file system, and the 103 bytes that the address of one may have.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lab_model::MachineName;
use nix::unistd::geteuid;
use sha2::{Digest as _, Sha256};

use crate::error::{Failure, Kind, Result};
use crate::home::Home;

/// Where a machine's control protocol is spoken.
pub(crate) fn monitor(home: &Home, name: &MachineName) -> PathBuf {
    fitting(home.monitors().join(format!("{name}.sock")))
}

/// Where a machine's serial console is.
pub(crate) fn console(home: &Home, name: &MachineName) -> PathBuf {
    fitting(home.monitors().join(format!("{name}.console")))
}

/// `wanted`, or where its path is too long for a socket a short one that stands for it.
///
/// It depends on nothing but `wanted` and the user: every command of theirs, from whatever session, finds the same place.
pub(crate) fn fitting(wanted: PathBuf) -> PathBuf {
    if wanted.as_os_str().len() <= LONGEST {
        return wanted;
    }
    let digest = Sha256::digest(wanted.as_os_str().as_encoded_bytes());
    short_folder().join(hex::encode(&digest[..12]))
}

/// Makes the place free: the folder is there and the user's own, and no socket of an earlier process is in the way.
///
/// # Errors
/// The folder for short paths belongs to somebody else.
pub(crate) fn prepare(socket: &Path) -> Result<()> {
    let folder = short_folder();
    if socket.parent() == Some(&folder) {
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(anyhow::Error::from(error).context(format!("cannot make {}", folder.display())).into());
            }
            Ok(()) | Err(_) => {}
        }
        let metadata = fs::symlink_metadata(&folder).with_context(|| format!("cannot look at {}", folder.display()))?;
        if !metadata.is_dir() || metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
            let message = format!("{} is not a folder of yours alone", folder.display());
            return Err(Failure::new(Kind::Conflict, message)
                .hinted("remove it, or set PVMLAB_HOME to a folder with a shorter path: then it is not needed"));
        }
    }
    match fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(anyhow::Error::from(error).context(format!("cannot remove {}", socket.display())).into())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes a socket whose process is gone, and the folder for short paths with the last of them.
pub(crate) fn remove(socket: &Path) {
    let _ = fs::remove_file(socket);
    if socket.parent() == Some(&short_folder()) {
        // Fails, as it should, while another socket is there.
        let _ = fs::remove_dir(short_folder());
    }
}

fn short_folder() -> PathBuf {
    PathBuf::from(format!("/tmp/pvmlab-{}", geteuid()))
}

/// `sun_path` has 108 bytes on Linux and 104 on macOS, the last of which is zero.
const LONGEST: usize = 103;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_path_is_taken_as_it_is() {
        let wanted = PathBuf::from("/home/ada/.pvmlab/monitors/web.sock");

        assert_eq!(fitting(wanted.clone()), wanted);
    }

    #[test]
    fn a_long_path_has_a_short_one_of_its_own() {
        let long = |name: &str| fitting(PathBuf::from(format!("/{}/{name}", "a".repeat(100))));

        assert!(long("web").as_os_str().len() <= LONGEST);
        assert_eq!(long("web"), long("web"));
        assert_ne!(long("web"), long("db"));
    }
}
