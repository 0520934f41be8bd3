//! What was downloaded for an image: `downloads/<name>/<arch>/source.json`, beside the file while that is kept.

use std::fs;

use anyhow::Context as _;
use jiff::Timestamp;
use lab_model::{Arch, FileName, ImageName, Sha256};
use serde::{Deserialize, Serialize};

use super::catalogue::Source;
use super::checksums::Digest;
use super::resume::Validators;
use crate::error::Result;
use crate::home::Home;
use crate::images::Image;

/// One download, whole and compared with what it had to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Record {
    /// Where it came from, before mirrors.
    pub(crate) source: Source,
    /// Its name in the folder.
    pub(crate) file: FileName,
    /// Length in bytes.
    pub(crate) size: u64,
    /// Of the file.
    pub(crate) sha256: Sha256,
    /// What it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<Digest>,
    /// What the server said of it.
    #[serde(flatten)]
    pub(crate) validators: Validators,
    /// When it came.
    pub(crate) pulled: Timestamp,
    /// Whether upstream had another one when it was looked at last.
    #[serde(default)]
    pub(crate) outdated: bool,
    /// The disk of the image that was made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<Sha256>,
}

impl Record {
    /// What was downloaded for this image; `None` if nothing was, or nobody can tell any more.
    pub(crate) fn read(home: &Home, name: &ImageName, arch: Arch) -> Option<Self> {
        let text = fs::read_to_string(home.download(name, arch).join(FILE)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Writes it down.
    ///
    /// # Errors
    /// The disk is full.
    pub(crate) fn write(&self, home: &Home, name: &ImageName, arch: Arch) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("a record has a JSON form")? + "\n";
        Ok(crate::file::replace(&home.download(name, arch).join(FILE), text.as_bytes())?)
    }

    /// Whether this image was made of the download, and all its files are there.
    pub(crate) fn made(&self, image: &Image) -> bool {
        self.is_of(image) && image.glance().is_none()
    }

    /// Whether this image was made of the download.
    pub(super) fn is_of(&self, image: &Image) -> bool {
        image.manifest.disk.as_ref().is_some_and(|disk| self.image == Some(disk.sha256))
    }

    /// Whether the file itself is still kept.
    pub(crate) fn is_kept(&self, home: &Home, name: &ImageName, arch: Arch) -> bool {
        let path = home.download(name, arch).join(self.file.as_str());
        fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == self.size)
    }
}

/// Every download of a home.
pub(crate) fn all(home: &Home) -> Vec<(ImageName, Arch, Record)> {
    let folders = |folder: &std::path::Path| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    };
    let mut records = Vec::new();
    for name in folders(&home.downloads()) {
        let Ok(image) = name.parse::<ImageName>() else { continue };
        for arch in Arch::ALL {
            if let Some(record) = Record::read(home, &image, arch) {
                records.push((image.clone(), arch, record));
            }
        }
    }
    records
}

const FILE: &str = "source.json";
