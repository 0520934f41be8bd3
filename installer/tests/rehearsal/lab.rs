//! A server with an image and a seed, and a disk to install them on.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use installer::rehearse::rehearse;
use installer::{Failure, Patience};
use lab_model::{AfterInstall, Compression, InstallerConfig, MacAddr, RemoteDisk, RemoteFile, Sha256};
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
        let ((compressed, chunks), seed) = (image::compress(&raw), image::seed());
        let config = InstallerConfig {
            machine: "web".parse().expect("a host name"),
            mac: MacAddr::new([0x52, 0x54, 0, 0, 0, 1]),
            disk_image: RemoteDisk {
                url: server.url("/disk.zst"),
                size: compressed.len() as u64,
                compression: Compression::Zstd,
                raw_size: raw.len() as u64,
                chunk_size: image::MIB as u32,
                chunks,
            },
            seed: RemoteFile { url: server.url("/seed.iso"), size: seed.len() as u64, sha256: digest(&seed) },
            disk: None,
            wipe: true,
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
        self.disk_with(&old)
    }

    /// A disk with this content.
    pub(crate) fn disk_with(&self, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join("disk");
        std::fs::write(&path, content).expect("a file can be written");
        path
    }

    /// Installs on a disk of this size, and returns what is on the disk afterwards.
    pub(crate) fn install(&self, size: usize) -> (Result<(), Failure>, Vec<u8>) {
        self.install_patiently(size, QUICK)
    }

    /// The same, with another patience than [`QUICK`].
    pub(crate) fn install_patiently(&self, size: usize, patience: Patience) -> (Result<(), Failure>, Vec<u8>) {
        self.install_on(&self.old_disk(size), patience)
    }

    /// Has the program install on a copy of `disk` in memory that holds `room`, such as `2m`, and copies that back.
    pub(crate) fn install_on_thin_disk(&self, disk: &Path, room: &str) -> Output {
        self.serve_config();
        let script = r#"
            mount -t tmpfs -o size="$3" tmpfs /mnt && cp --sparse=always "$2" /mnt/disk || exit 2
            "$0" rehearse --config "$1" --disk /mnt/disk
            code=$?
            cp --sparse=always /mnt/disk "$2" && exit $code
        "#;
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_installer")]);
        command.arg(self.server.url("/config")).arg(disk).arg(room);
        command.output().expect("it runs: install util-linux")
    }

    fn serve_config(&self) {
        let config = serde_json::to_vec(&self.config).expect("a configuration has a JSON form");
        self.server.put("/config", File::new(config));
    }

    /// The same, on the disk as it is.
    pub(crate) fn install_on(&self, disk: &Path, patience: Patience) -> (Result<(), Failure>, Vec<u8>) {
        self.serve_config();
        let outcome = rehearse(&self.server.url("/config"), disk, patience);
        (outcome, std::fs::read(disk).expect("the disk is still there"))
    }

    /// Installs on a disk that is large enough, and returns phase and reason of the failure, and the disk.
    pub(crate) fn fail(&self) -> (Failure, Vec<u8>) {
        let (outcome, disk) = self.install(DISK);
        (outcome.expect_err("this cannot be installed"), disk)
    }

    /// The requests for parts of the image, in the order of the file.
    pub(crate) fn ranges(&self) -> Vec<String> {
        let requests = self.server.requests();
        let mut ranges: Vec<_> =
            requests.iter().filter_map(|request| request.strip_prefix("/disk.zst bytes=")).map(str::to_owned).collect();
        ranges.sort_by_key(|range| range.split('-').next().and_then(|start| start.parse::<u64>().ok()));
        ranges
    }

    /// Where each chunk's frame is in the compressed file, without those of zeros.
    pub(crate) fn frames(&self) -> Vec<Range<u64>> {
        let image = &self.config.disk_image;
        let placed = lab_model::placed_chunks(&image.chunks, image.chunk_size, image.raw_size);
        let data = placed.filter(|placed| !placed.chunk.zero);
        data.map(|placed| placed.file_at..placed.file_at + u64::from(placed.chunk.size)).collect()
    }
}

/// Whether firmware finds neither boot code nor a partition table at either end.
pub(crate) fn is_unbootable(disk: &[u8]) -> bool {
    let sectors: Vec<_> = disk.chunks(512).collect();
    let table = |sector: &&[u8]| sector.starts_with(b"EFI PART");
    disk[..image::MIB].iter().all(|byte| *byte == 0) && !sectors[sectors.len() - 2 * 2048..].iter().any(table)
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
