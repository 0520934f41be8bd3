//! A file of a home that is the same as one elsewhere: a second name for it where that is possible, a copy otherwise.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Context as _;
use lab_model::{ImagePart, Sha256};

use super::corrupted;
use super::hashing;
use crate::error::{Failure, Kind, Result};
use crate::progress::Progress;

/// Makes `folder/part` from `source/part`, and reads it through once.
///
/// # Errors
/// The file is missing or corrupted, the disk is full, or `progress` was interrupted.
pub(super) fn adopt(source: &Path, folder: &Path, part: ImagePart<'_>, progress: &Progress<'_>) -> Result<()> {
    let from = source.join(part.file.as_str());
    // A link would be taken as it is, and lead nowhere one day.
    let from = fs::canonicalize(&from).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new(Kind::NotFound, format!("there is no {}", from.display()))
            .hinted("the manifest names it: build the image again"),
        _ => anyhow::Error::from(error).context(format!("cannot read {}", from.display())).into(),
    })?;
    if !from.is_file() {
        return Err(Failure::new(Kind::Failed, format!("{} is not a file", from.display())));
    }
    let found = second_name(&from, &folder.join(part.file.as_str()), progress)?;
    if found != (part.size, part.sha256) {
        return Err(corrupted(
            &from,
            part,
            found,
            "build or fetch the image again: what is in this folder is not what its manifest says",
        ));
    }
    Ok(())
}

/// Makes `to` the same file as `from`, or a copy of it; how long it is, and what it hashes to.
///
/// # Errors
/// `from` cannot be read, the disk is full, or `progress` was interrupted.
pub(super) fn second_name(from: &Path, to: &Path, progress: &Progress<'_>) -> Result<(u64, Sha256)> {
    if fs::hard_link(from, to).is_ok() {
        return hashing::file(to, progress);
    }
    // Another file system, or another owner.
    let mut copy = File::create_new(to).with_context(|| format!("cannot write {}", to.display()))?;
    let found = hashing::copy(from, &mut copy, progress)?;
    copy.sync_all().with_context(|| format!("cannot write {}", to.display()))?;
    Ok(found)
}
