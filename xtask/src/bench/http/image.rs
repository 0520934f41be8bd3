//! An image whose initial RAM file system is what is downloaded: a file of any length, as a disk is, but without chunks to it.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use sha2::Digest as _;
use tempfile::TempDir;

use crate::workspace;

/// The folder of images with this one in it; gone when this is dropped.
pub(crate) struct Image {
    folder: TempDir,
}

/// What definitions call it.
pub(crate) const NAME: &str = "bench";

const LONG_FILE: &str = "initrd.img";

impl Image {
    /// With a file of this length.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn new(bytes: usize) -> Result<Self> {
        // Not where the system keeps temporary files: that may be memory, and images are on disks.
        let place = workspace().join("target");
        fs::create_dir_all(&place)?;
        let folder = tempfile::Builder::new().prefix("bench-http-").tempdir_in(place)?;
        let image = folder.path().join(NAME).join("x86_64");
        fs::create_dir_all(&image)?;
        let long: Vec<u8> = (0..bytes / 4).flat_map(|word| (word as u32).to_le_bytes()).collect();
        let file = |name: &str, contents: &[u8]| -> Result<serde_json::Value> {
            fs::write(image.join(name), contents).context("cannot write an image")?;
            let sha256 = hex::encode(sha2::Sha256::digest(contents));
            Ok(serde_json::json!({ "file": name, "size": contents.len(), "sha256": sha256 }))
        };
        let mut disk = file("disk.zst", b"disk")?;
        disk["compression"] = "zstd".into();
        disk["raw-size"] = 4096.into();
        disk["chunk-size"] = (1 << 20).into();
        disk["chunks"] = serde_json::json!([{ "size": disk["size"], "sha256": disk["sha256"] }]);
        let manifest = serde_json::json!({
            "name": NAME, "arch": "x86_64",
            "kernel": file("vmlinuz", b"kernel")?, "initrd": file(LONG_FILE, &long)?, "disk": disk,
        });
        fs::write(image.join("manifest.json"), manifest.to_string())?;
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the long file is found by HTTP.
    pub(crate) fn path(&self) -> String {
        format!("/images/{NAME}/x86_64/{LONG_FILE}")
    }
}
