//! A server with an image and a seed, and a disk to install them on.

use std::path::PathBuf;
use std::time::Duration;

use installer::rehearse::rehearse;
use installer::{Failure, Patience};
use lab_model::{AfterInstall, Compression, InstallerConfig, RemoteDisk, RemoteFile, Sha256};
use sha2::Digest;
use tempfile::TempDir;

use crate::image::{self, noise};
use crate::server::{File, Server};

pub(crate) struct Lab {
    pub(crate) server: Server,
    /// The image as it should arrive.
    pub(crate) raw: Vec<u8>,
    pub(crate) compressed: Vec<u8>,
    pub(crate) seed: Vec<u8>,
    pub(crate) config: InstallerConfig,
    folder: TempDir,
}

impl Lab {
    /// A lab in which nothing goes wrong.
    pub(crate) fn new() -> Self {
        Self::with_image(image::disk_image())
    }

    /// A lab with an image of one's own.
    pub(crate) fn with_image(raw: Vec<u8>) -> Self {
        let server = Server::start();
        let (compressed, seed) = (image::compress(&raw), image::seed());
        let config = InstallerConfig {
            machine: "web".parse().expect("a host name"),
            disk_image: RemoteDisk {
                url: server.url("/disk.zst"),
                size: compressed.len() as u64,
                sha256: digest(&compressed),
                compression: Compression::Zstd,
                raw_size: raw.len() as u64,
            },
            seed: RemoteFile { url: server.url("/seed.iso"), size: seed.len() as u64, sha256: digest(&seed) },
            disk: None,
            after_install: AfterInstall::Reboot,
            kexec: None,
            events_url: server.url("/events"),
        };
        server.put("/disk.zst", File::new(compressed.clone()));
        server.put("/seed.iso", File::new(seed.clone()));
        Self { server, raw, compressed, seed, config, folder: TempDir::new().expect("a folder") }
    }

    /// A disk of this size that is full of old data, a bootable partition table at both ends included.
    pub(crate) fn old_disk(&self, size: usize) -> PathBuf {
        let mut old = vec![0; size];
        noise(&mut old, 99);
        let table = image::disk_image();
        let end = 33 * 512;
        if size > table.len() {
            old[..image::MIB].copy_from_slice(&table[..image::MIB]);
            old[size - end..].copy_from_slice(&table[table.len() - end..]);
        }
        let path = self.folder.path().join("disk");
        std::fs::write(&path, old).expect("a file can be written");
        path
    }

    /// Installs on a disk of this size, and returns what is on the disk afterwards.
    pub(crate) fn install(&self, size: usize) -> (Result<(), Failure>, Vec<u8>) {
        self.install_patiently(size, QUICK)
    }

    /// The same, with another patience than [`QUICK`].
    pub(crate) fn install_patiently(&self, size: usize, patience: Patience) -> (Result<(), Failure>, Vec<u8>) {
        let config = serde_json::to_vec(&self.config).expect("a configuration has a JSON form");
        self.server.put("/config", File::new(config));
        let path = self.old_disk(size);
        let outcome = rehearse(&self.server.url("/config"), &path, patience);
        (outcome, std::fs::read(&path).expect("the disk is still there"))
    }

    /// Installs on a disk that is large enough, and returns phase and reason of the failure, and the disk.
    pub(crate) fn fail(&self) -> (Failure, Vec<u8>) {
        let (outcome, disk) = self.install(DISK);
        (outcome.expect_err("this cannot be installed"), disk)
    }
}

/// Whether firmware finds neither boot code nor a partition table at either end.
pub(crate) fn is_unbootable(disk: &[u8]) -> bool {
    let end = disk.len() - image::MIB;
    disk[..image::MIB].iter().chain(&disk[end..]).all(|byte| *byte == 0)
}

pub(crate) fn digest(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

/// A disk with some room behind the image, that ends on no round number.
pub(crate) const DISK: usize = 20 * image::MIB + 512 * 77;

/// Tries again at once, but leaves a busy machine its time.
pub(crate) const QUICK: Patience = Patience {
    failures: 5,
    first: Duration::from_millis(1),
    longest: Duration::from_millis(20),
    silence: Duration::from_secs(30),
};
