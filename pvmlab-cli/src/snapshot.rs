//! Snapshots: what a machine's disk and firmware variables were at a moment, kept inside of the disk's own file.
//!
//! A snapshot is there as soon as the disk's file names it, and no more when it does not: that is one write of QEMU's. The copy of
//! the firmware variables beside it comes before and goes after. Definition and hardware are no part of it.

use std::fmt;
use std::fs;
use std::io;
use std::str::FromStr;

use anyhow::Context as _;
use jiff::Timestamp;
use lab_model::MachineName;
use serde::Serialize;

use crate::disk;
use crate::error::{Failure, Kind, Result};
use crate::file;
use crate::home::{Home, Lock};
use crate::qemu::power;
use crate::removal;

/// The name of a snapshot: 1 to 63 bytes of `[a-z0-9._-]`, starting with a letter or digit, and not a number: QEMU counts snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct SnapshotName(String);

/// A snapshot of a machine's disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Snapshot {
    pub(crate) name: String,
    /// When it was taken, to the second.
    pub(crate) taken: Timestamp,
}

/// Takes a snapshot of a machine that is off.
///
/// # Errors
/// The machine runs, has one of this name, or its disk is full; then nothing was changed.
pub(crate) fn take(home: &Home, machine: &MachineName, name: &SnapshotName, _lock: &Lock) -> Result<()> {
    require_off(home, machine)?;
    let disk = home.disk(machine);
    if of(home, machine)?.iter().any(|known| known.name == name.0) {
        let message = format!("machine `{machine}` has a snapshot `{name}` already");
        return Err(Failure::new(Kind::Conflict, message)
            .hinted(format!("choose another name, or `pvmlab vm snapshots {machine} --remove {name}`")));
    }
    let folder = home.snapshots(machine);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let kept = home.snapshot_variables(machine, name.as_str());
    match fs::read(home.firmware_variables(machine)) {
        Ok(variables) => file::replace(&kept, &variables)?,
        // It was never switched on: its firmware begins from nothing.
        Err(error) if error.kind() == io::ErrorKind::NotFound => drop(removal::remove_path(&kept)?),
        Err(error) => return Err(anyhow::Error::from(error).context("cannot read the firmware variables").into()),
    }
    disk::snapshot(&disk, disk::Snapshot::Take(name.as_str())).inspect_err(|_| drop(removal::remove_path(&kept)))
}

/// Makes disk and firmware variables what they were; what came since is lost.
///
/// # Errors
/// The machine runs, or has no such snapshot.
pub(crate) fn restore(home: &Home, machine: &MachineName, name: &SnapshotName, _lock: &Lock) -> Result<()> {
    require_off(home, machine)?;
    require(home, machine, name)?;
    disk::snapshot(&home.disk(machine), disk::Snapshot::Restore(name.as_str()))?;
    let variables = home.firmware_variables(machine);
    match fs::read(home.snapshot_variables(machine, name.as_str())) {
        Ok(kept) => file::replace(&variables, &kept)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => drop(removal::remove_path(&variables)?),
        Err(error) => return Err(anyhow::Error::from(error).context("cannot read the firmware variables").into()),
    }
    Ok(())
}

/// Forgets a snapshot; the disk as it is now stays.
///
/// # Errors
/// The machine runs, or has no such snapshot.
pub(crate) fn remove(home: &Home, machine: &MachineName, name: &SnapshotName, _lock: &Lock) -> Result<()> {
    require_off(home, machine)?;
    require(home, machine, name)?;
    disk::snapshot(&home.disk(machine), disk::Snapshot::Remove(name.as_str()))?;
    removal::remove_path(&home.snapshot_variables(machine, name.as_str()))?;
    Ok(())
}

/// A machine's snapshots, oldest first.
///
/// # Errors
/// It has no disk, or QEMU's tools are missing.
pub(crate) fn of(home: &Home, machine: &MachineName) -> Result<Vec<Snapshot>> {
    let mut snapshots: Vec<_> = disk::snapshots(&home.disk(machine))?
        .into_iter()
        .map(|(name, second)| Snapshot { name, taken: Timestamp::from_second(second).unwrap_or_default() })
        .collect();
    snapshots.sort_by_key(|snapshot| snapshot.taken);
    Ok(snapshots)
}

fn require(home: &Home, machine: &MachineName, name: &SnapshotName) -> Result<()> {
    let known = of(home, machine)?;
    if known.iter().any(|known| known.name == name.0) {
        return Ok(());
    }
    let failure = Failure::new(Kind::NotFound, format!("machine `{machine}` has no snapshot `{name}`"));
    Err(match &known[..] {
        [] => failure.hinted(format!("take one with `pvmlab vm snapshot {machine} {name}`")),
        known => {
            let names: Vec<_> = known.iter().map(|snapshot| snapshot.name.as_str()).collect();
            failure.hinted(format!("there are {}", names.join(", ")))
        }
    })
}

/// # Errors
/// The machine runs: its disk is being written.
pub(crate) fn require_off(home: &Home, machine: &MachineName) -> Result<()> {
    if power::running(home, machine)?.is_none() {
        return Ok(());
    }
    Err(Failure::new(Kind::Conflict, format!("machine `{machine}` is running, and its disk is being written"))
        .hinted(format!("stop it first: `pvmlab vm stop {machine}`")))
}

impl SnapshotName {
    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// A name for now: `20260102-030405`, in UTC.
    pub(crate) fn of_moment(now: Timestamp) -> Self {
        Self(now.strftime("%Y%m%d-%H%M%S").to_string())
    }
}

impl FromStr for SnapshotName {
    type Err = NotSnapshotName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain =
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let number = text.bytes().all(|byte| byte.is_ascii_digit());
        if plain && first && !number && text.len() <= 63 {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotSnapshotName(text.to_owned()))
        }
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The text is no name of a snapshot.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a snapshot's name: expected 1 to 63 of `a-z`, `0-9`, `.`, `_` and `-`, starting with a letter or digit, not a number"
)]
pub(crate) struct NotSnapshotName(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_none_that_qemu_would_take_for_another() {
        for good in ["before-upgrade", "v1.2", "20260102-030405", "1a"] {
            assert!(good.parse::<SnapshotName>().is_ok(), "{good}");
        }
        for bad in ["", "1", "42", "-a", "A", "a b", "a/b", &"x".repeat(64)] {
            assert!(bad.parse::<SnapshotName>().is_err(), "{bad}");
        }
        let name = SnapshotName::of_moment("2026-01-02T03:04:05Z".parse().expect("a time"));
        assert_eq!(name.as_str().parse::<SnapshotName>().expect("its own form"), name);
    }
}
