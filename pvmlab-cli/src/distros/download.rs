//! One file, from wherever it is into a folder: begun, broken off, gone on with, and compared with what it has to be.
//!
//! While it comes it is `part`, with `part.json` beside it that says of what. Only what is provably the same file is gone on
//! with, and nothing leaves here that was not compared with its digest, where there is one.

use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use lab_model::Sha256;

use super::checksums::{Digest, Hashing};
use super::http::{self, Http, Trouble};
use super::location::Location;
use super::resume::{self, Body, Partial, Validators};
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::removal::remove_path;

/// What is wanted, and where.
pub(super) struct Download<'a> {
    pub(super) home: &'a Home,
    pub(super) from: &'a Location,
    /// What it has to be.
    pub(super) digest: Option<Digest>,
    /// Where it goes; there is one download at a time for each.
    pub(super) folder: &'a Path,
    pub(super) http: &'a Http,
    pub(super) progress: &'a Progress<'a>,
    pub(super) interrupt: &'a Interrupt,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Downloaded {
    /// Length in bytes.
    pub(super) size: u64,
    pub(super) sha256: Sha256,
    pub(super) validators: Validators,
}

impl Download<'_> {
    /// Fetches until it is whole; it is then `part` in the folder.
    ///
    /// # Errors
    /// It does not come, is not what it has to be, or finds no room. What can be gone on with stays.
    pub(super) fn run(&self) -> Result<Downloaded> {
        let mut failures = 0;
        loop {
            let had = self.have();
            match self.attempt() {
                Ok(downloaded) => return Ok(downloaded),
                Err(Trouble::Lasting(failure)) => return Err(self.interrupted().unwrap_or(failure)),
                Err(Trouble::Passing(failure)) => {
                    // A connection that is broken off again and again gets there too, as long as something is gained.
                    let is_nearer = self.part_description().exists() && self.have() > had;
                    failures = if is_nearer { 1 } else { failures + 1 };
                    if failures == ATTEMPTS {
                        return Err(self.interrupted().unwrap_or(failure));
                    }
                    if self.interrupt.pause(FIRST_PAUSE * 2_u32.pow(failures - 1)).is_err() {
                        return Err(self.interrupted().unwrap_or(failure));
                    }
                }
            }
        }
    }

    /// Where the file comes to be.
    pub(super) fn part(&self) -> PathBuf {
        self.folder.join(PART)
    }

    fn attempt(&self) -> Result<Downloaded, Trouble> {
        let partial = self.partial().map_err(Trouble::Lasting)?;
        let was_begun = partial.is_some();
        let (validators, total) = match partial {
            Some((partial, have)) if have == partial.total => (partial.validators, Some(partial.total)),
            partial => self.transfer(partial)?,
        };
        let size = self.have();
        if total.is_some_and(|total| total != size) {
            let message = format!("{} ended early: {size} bytes of {}", self.from, total.unwrap_or_default());
            return Err(Trouble::Passing(Failure::new(Kind::Failed, message).hinted(http::AGAIN)));
        }
        let (sha256, digest) = self.hash(size).map_err(Trouble::Lasting)?;
        match self.digest {
            Some(expected) if expected != digest => {
                self.forget().map_err(Trouble::Lasting)?;
                let failure = not_the_vendors(self.from, expected, digest);
                // Of what was put together, the first part may be to blame.
                return Err(if was_begun { Trouble::Passing(failure) } else { Trouble::Lasting(failure) });
            }
            Some(_) => {}
            None => self.compare_once_more(&validators)?,
        }
        Ok(Downloaded { size, sha256, validators })
    }

    /// Asks for the file or the rest of it, and writes what comes.
    fn transfer(&self, partial: Option<(Partial, u64)>) -> Result<(Validators, Option<u64>), Trouble> {
        let asked = partial.as_ref().and_then(|(partial, have)| Some((partial, *have, partial.validators.strong()?)));
        let range = asked.map(|(_, have, _)| format!("bytes={have}-"));
        let headers: Vec<_> = match (&range, asked) {
            (Some(range), Some((_, _, validator))) => vec![("Range", &**range), ("If-Range", validator)],
            _ => Vec::new(),
        };
        let answer = self.http.get(self.from, &headers)?;
        let body = resume::judge(&answer.head, asked.map(|(partial, have, _)| (partial, have)));
        let validators = match (&body, &partial) {
            (Body::Rest, Some((partial, _))) => partial.validators.clone(),
            _ => answer.head.validators,
        };
        match body {
            Body::Stale => {
                self.forget().map_err(Trouble::Lasting)?;
                let message = format!("{} changed while it was downloaded", self.from);
                Err(Trouble::Passing(Failure::new(Kind::Failed, message).hinted("try again: it begins from the start")))
            }
            Body::Rest => {
                let total = partial.map(|(partial, _)| partial.total);
                self.write(answer.body, total).map(|()| (validators, total))
            }
            Body::Whole(total) => {
                self.begin(total, &validators).map_err(Trouble::Lasting)?;
                self.write(answer.body, total).map(|()| (validators, total))
            }
        }
    }

    /// An empty part, and what it is to become part of.
    fn begin(&self, total: Option<u64>, validators: &Validators) -> Result<()> {
        self.forget()?;
        if let (Some(total), Some(_)) = (total, validators.strong()) {
            let partial =
                Partial { url: self.from.clone(), digest: self.digest, total, validators: validators.clone() };
            let text = serde_json::to_string_pretty(&partial).context("it has a JSON form")? + "\n";
            crate::file::replace(&self.part_description(), text.as_bytes())?;
        }
        Ok(())
    }

    fn write(&self, mut body: Box<dyn Read + Send>, total: Option<u64>) -> Result<(), Trouble> {
        let cannot = || format!("cannot write {}", self.part().display());
        let lasting = |error: anyhow::Error| Trouble::Lasting(error.into());
        let have = self.have();
        let missing = total.unwrap_or_default().saturating_sub(have);
        self.home.require_space(missing).map_err(Trouble::Lasting)?;
        self.progress.go_on(have, total);
        let open = File::options().create(true).append(true).open(self.part());
        let mut file = open.with_context(cannot).map_err(lasting)?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(http::broken(self.from, error)),
            };
            file.write_all(&buffer[..read]).with_context(cannot).map_err(lasting)?;
            self.progress.advance(read).map_err(Trouble::Lasting)?;
        }
        file.sync_all().with_context(cannot).map_err(lasting)
    }

    /// Reads the part through.
    fn hash(&self, size: u64) -> Result<(Sha256, Digest)> {
        let cannot = || format!("cannot read {}", self.part().display());
        self.progress.go_on(0, Some(size));
        let mut file = File::open(self.part()).with_context(cannot)?;
        let mut hashing = Hashing::comparing_with(self.digest.as_ref());
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut buffer).with_context(cannot)?;
            if read == 0 {
                return Ok(hashing.finish());
            }
            hashing.update(&buffer[..read]);
            self.progress.advance(read)?;
        }
    }

    /// Without a digest, at least what is there now has to be what was there at the beginning.
    fn compare_once_more(&self, validators: &Validators) -> Result<(), Trouble> {
        if self.http.is_unchanged(self.from, validators)? != Some(false) {
            return Ok(());
        }
        self.forget().map_err(Trouble::Lasting)?;
        let message = format!("{} changed while it was downloaded", self.from);
        Err(Trouble::Passing(Failure::new(Kind::Failed, message).hinted("try again: it begins from the start")))
    }

    /// What is here of this very file, and how many bytes; anything else is removed.
    fn partial(&self) -> Result<Option<(Partial, u64)>> {
        let text = fs::read_to_string(self.part_description()).unwrap_or_default();
        let have = self.have();
        match serde_json::from_str::<Partial>(&text) {
            Ok(partial)
                if &partial.url == self.from
                    && partial.digest == self.digest
                    && partial.validators.strong().is_some()
                    && (1..=partial.total).contains(&have) =>
            {
                Ok(Some((partial, have)))
            }
            Ok(_) | Err(_) => self.forget().map(|()| None),
        }
    }

    /// How many bytes are here.
    fn have(&self) -> u64 {
        fs::metadata(self.part()).map_or(0, |part| part.len())
    }

    /// The description first: a part without one is never gone on with.
    fn forget(&self) -> Result<()> {
        remove_path(&self.part_description())?;
        remove_path(&self.part())?;
        Ok(())
    }

    fn part_description(&self) -> PathBuf {
        self.folder.join(PART_DESCRIPTION)
    }

    /// What to say if somebody wanted this to end: whatever else failed is only a consequence.
    fn interrupted(&self) -> Option<Failure> {
        self.interrupt.check().err()?;
        let failure = Failure::new(Kind::Interrupted, "interrupted");
        Some(match self.have() {
            0 => failure,
            _ if !self.part_description().exists() => failure,
            have => failure.hinted(format!("{} MiB are here: {}", have >> 20, http::AGAIN)),
        })
    }
}

/// A file that is only partly there.
pub(super) const PART: &str = "part";

/// What [`PART`] is a part of.
pub(super) const PART_DESCRIPTION: &str = "part.json";

/// How often in a row nothing may come.
const ATTEMPTS: u32 = 5;

/// Doubled after each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

fn not_the_vendors(from: &Location, expected: Digest, found: Digest) -> Failure {
    Failure::new(Kind::Failed, format!("{from} is not what its vendor lists: it has {found}, and not {expected}"))
        .hinted("the vendor may just be publishing another one: try again in some minutes")
        .hinted("if it stays so, a mirror or proxy on the way changes it, or has an old one")
}
