//! The home: whether it can be written, its key, its space.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::finding::Finding;
use crate::home::Home;

pub(super) fn folder(home: &Home) -> Finding {
    const CHECK: &str = "home";
    let root = home.root();
    let Ok(folder) = fs::metadata(root.join("vms")) else {
        return Finding::missing(
            CHECK,
            format!("there is no lab in {}", root.display()),
            "make one with `pvmlab setup`",
        );
    };
    if tempfile::Builder::new().prefix(".new-").tempfile_in(home.vms()).is_err() {
        let fix = format!("give it back to yourself: `sudo chown -R $USER {}`, or free some space", root.display());
        return Finding::missing(CHECK, format!("{} cannot be written", root.display()), fix);
    }
    if folder.uid() != nix::unistd::geteuid().as_raw() {
        let fix = format!("give it back to yourself: `sudo chown -R $USER {}`", root.display());
        return Finding::warning(CHECK, format!("{} is somebody else's", root.display()), fix);
    }
    Finding::ok(CHECK, root.display().to_string())
}

pub(super) fn keys(home: &Home) -> Finding {
    const CHECK: &str = "SSH key";
    let found = ["id_ed25519", "vm_rsa"].map(|name| home.ssh().join(name)).into_iter().find(|key| key.exists());
    let Some(key) = found else {
        return Finding::missing(CHECK, "there is none", "make one with `pvmlab setup`");
    };
    let shown = key.display().to_string();
    // ssh refuses a key that others can read.
    if fs::metadata(&key).is_ok_and(|file| file.permissions().mode() & 0o077 != 0) {
        return Finding::missing(CHECK, format!("others may read {shown}"), format!("`chmod 600 {shown}`"));
    }
    Finding::ok(CHECK, shown)
}

/// What a lab with a few machines takes: below this it is said, below a tenth of it no machine can be made.
const COMFORTABLE_BYTES: u64 = 10 << 30;

pub(super) fn space(home: &Home) -> Finding {
    const CHECK: &str = "space";
    let free = match home.free_bytes() {
        Ok(free) => free,
        Err(error) => return Finding::warning(CHECK, format!("unknown: {error}"), "look with `df -h`"),
    };
    let found = format!("{} GiB free", free >> 30);
    match free {
        free if free < COMFORTABLE_BYTES / 10 => Finding::missing(CHECK, found, crate::error::FREE_SPACE),
        free if free < COMFORTABLE_BYTES => Finding::warning(CHECK, found, crate::error::FREE_SPACE),
        _ => Finding::ok(CHECK, found),
    }
}
