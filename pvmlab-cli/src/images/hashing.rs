//! What a file holds, as a manifest says it: its length and its SHA-256.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::Context as _;
use lab_model::Sha256;
use sha2::Digest as _;

use crate::error::{Failure, Kind, Result};
use crate::progress::Progress;

/// How much is read at a time.
pub(super) const CHUNK: usize = 1 << 20;

/// Reads the file to its end.
///
/// # Errors
/// It cannot be read, or `progress` was interrupted.
pub(super) fn file(path: &Path, progress: &Progress<'_>) -> Result<(u64, Sha256)> {
    copy(path, &mut io::sink(), progress)
}

/// Copies the file into `target`.
///
/// # Errors
/// It cannot be read or written, or `progress` was interrupted.
pub(super) fn copy(path: &Path, target: &mut dyn Write, progress: &Progress<'_>) -> Result<(u64, Sha256)> {
    let mut source = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::new(Kind::NotFound, format!("there is no {}", path.display())),
        _ => anyhow::Error::from(error).context(format!("cannot open {}", path.display())).into(),
    })?;
    let (mut hash, mut length) = (sha2::Sha256::new(), 0);
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = source.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))?;
        if read == 0 {
            return Ok((length, Sha256(hash.finalize().into())));
        }
        hash.update(&buffer[..read]);
        target.write_all(&buffer[..read]).context("cannot write the copy")?;
        length += read as u64;
        progress.advance(read)?;
    }
}
