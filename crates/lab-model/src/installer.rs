//! What the installer is told: the answer to `GET /config/<mac>`.

use serde::{Deserialize, Serialize};

use crate::{AfterInstall, Chunk, Compression, DiskName, MacAddr, MachineName, Sha256};

/// The word on the kernel's command line that carries the URL of the installer's configuration.
pub const CONFIG_ARGUMENT: &str = "pvmlab.config";

/// The word that carries the URL for reports, which holds before there is a configuration.
pub const EVENTS_ARGUMENT: &str = "pvmlab.events";

/// The word that asks for a shell before the installation.
pub const SHELL_ARGUMENT: &str = "initrd.mode=shell";

/// The word that asks for the image's system in memory, on no disk of the machine's.
pub const MEMORY_ARGUMENT: &str = "initrd.mode=memory";

/// The DHCP vendor class (option 60) by which the server tells the installer from the installed system.
pub const VENDOR_CLASS: &str = "pvmlab-installer";

/// All that the installer needs to know of its machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct InstallerConfig {
    /// The machine's name, for the console.
    pub machine: MachineName,
    /// Its hardware address: a disk that was installed for it carries this, and may be installed again.
    pub mac: MacAddr,
    /// The disk image.
    pub disk_image: RemoteDisk,
    /// The cloud-init seed: an ISO 9660 image with volume label `cidata`.
    pub seed: RemoteFile,
    /// The disk to write; `None`: the only one there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskName>,
    /// Whether the disk is written even where somebody else's system or data is on it.
    #[serde(default)]
    pub wipe: bool,
    /// How the installed system is started.
    pub after_install: AfterInstall,
    /// The installed system's kernel, for `kexec`; `None` where the image does not say: then it reboots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kexec: Option<Kexec>,
    /// Where reports are posted, as [`crate::InstallerReport`] in JSON.
    pub events_url: String,
}

/// A file to fetch whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RemoteFile {
    /// Where it is, with `http://`.
    pub url: String,
    /// Length in bytes.
    pub size: u64,
    /// What it hashes to.
    pub sha256: Sha256,
}

/// A compressed disk image, to be fetched, verified and written chunk by chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RemoteDisk {
    /// Where it is, with `http://`.
    pub url: String,
    /// Length of the compressed file in bytes.
    pub size: u64,
    /// How it is compressed.
    pub compression: Compression,
    /// Length of the disk in bytes.
    pub raw_size: u64,
    /// How much of the disk is in each chunk, in bytes.
    pub chunk_size: u32,
    /// The compressed file in frames, in the order of the disk; each vouches for itself.
    pub chunks: Vec<Chunk>,
}

/// What `kexec_file_load(2)` starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kexec {
    /// The kernel.
    pub kernel: RemoteFile,
    /// The initial RAM file system.
    pub initrd: RemoteFile,
    /// The kernel's command line.
    pub arguments: String,
}
