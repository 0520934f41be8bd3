//! The kernel's switches under `/proc/sys`, set and set back.
//!
//! CAP_NET_ADMIN is enough for those below `net/`. What a switch was before is on disk before it is changed.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use tracing::info;

use super::record::{Former, Record};

/// What a switch shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// Its path below `/proc/sys`.
    key: String,
    /// Only from this value is it changed.
    from: Option<&'static str>,
    value: &'static str,
}

impl Setting {
    /// A switch that shall have this value.
    pub(super) fn always(key: &str, value: &'static str) -> Self {
        Self { key: key.to_owned(), from: None, value }
    }

    /// A switch that shall have the value `value` if it has `from`; any other, or no such switch, is left alone.
    pub(super) fn when(key: String, from: &'static str, value: &'static str) -> Self {
        Self { key, from: Some(from), value }
    }

    /// Why it cannot be set; nothing is changed.
    pub(super) fn denied(&self) -> Option<anyhow::Error> {
        let opened = match self.due() {
            Ok(None) => return None,
            Ok(Some(_)) => fs::OpenOptions::new().write(true).open(path(&self.key)).map(drop),
            Err(error) => Err(error),
        };
        opened.with_context(|| self.advice()).err()
    }

    /// What it is now, if it is to be changed.
    fn due(&self) -> io::Result<Option<String>> {
        match read(&self.key) {
            Ok(now) if now == self.value => Ok(None),
            Ok(now) if self.from.is_some_and(|from| from != now) => Ok(None),
            Ok(now) => Ok(Some(now)),
            Err(error) if self.from.is_some() && error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn advice(&self) -> String {
        let (path, name) = (path(&self.key), self.key.replace('/', "."));
        format!(
            "cannot set {name} to {value}: under systemd the unit needs ReadWritePaths={path}, as the one that comes with \
             this program has; or set it for good with `sysctl -w {name}={value}`",
            path = path.display(),
            value = self.value,
        )
    }
}

/// Sets the switches in this order. What they were goes into the record, unless it is there already.
///
/// # Errors
/// The kernel, or the disk that the record is on, refuses.
pub(super) fn set(settings: &[Setting], record: &mut Record) -> anyhow::Result<()> {
    for setting in settings {
        let Some(former) = setting.due().with_context(|| setting.advice())? else { continue };
        record.remember(&setting.key, &former, setting.value)?;
        fs::write(path(&setting.key), setting.value).with_context(|| setting.advice())?;
        info!(switch = setting.key, former, now = setting.value, "kernel switch set");
    }
    Ok(())
}

/// Sets back what the record has, last first. What somebody else changed meanwhile, or is gone, is left alone.
///
/// # Errors
/// The kernel refuses.
pub(super) fn restore(record: &Record) -> anyhow::Result<()> {
    for Former { key, was, set } in record.formers().iter().rev() {
        match read(key) {
            Ok(now) if now == *set => fs::write(path(key), was).with_context(|| format!("cannot set back {key}"))?,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {key}")),
        }
    }
    Ok(())
}

fn read(key: &str) -> io::Result<String> {
    Ok(fs::read_to_string(path(key))?.trim().to_owned())
}

fn path(key: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(key)
}
