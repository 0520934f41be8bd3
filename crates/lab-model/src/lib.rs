//! The contract between pvmlab's programs.
//!
//! What two programs must agree on is here and nowhere else: how a machine is defined ([`Definition`] as written,
//! [`Machine`] as found valid), which machines a lab has ([`Inventory`]), what an image consists of
//! ([`ImageManifest`]), what happened at boot ([`Event`], [`Stage`]), what the installer is told
//! ([`InstallerConfig`]) and what the server says of its machines ([`LabStatus`]).
//!
//! Deliberately not here: what to answer to a packet (`pxe-proto`), and any file, socket or clock.

#[macro_use]
mod text;

mod arch;
mod chunk;
mod cloud_init;
mod definition;
mod disk;
mod event;
mod firmware;
mod installer;
mod inventory;
mod mac;
mod machine;
mod manifest;
mod name;
mod network;
mod network6;
mod networks;
mod once;
mod status;
mod uuid;

pub use arch::{Arch, NotArch};
pub use chunk::{
    CHUNK_SIZE_MAX, CHUNK_SIZE_UNIT, Chunk, InvalidChunks, Placed, placed as placed_chunks, validate as validate_chunks,
};
pub use cloud_init::{CloudInit, Document};
pub use definition::{AfterInstall, Definition, Format, MalformedDefinition, Role};
pub use disk::{DiskName, NotDiskName};
pub use event::{Event, FetchedFile, InstallerReport, Phase, Stage, TransferTerms, What};
pub use firmware::Firmware;
pub use installer::{
    CONFIG_ARGUMENT, EVENTS_ARGUMENT, InstallerConfig, Kexec, MEMORY_ARGUMENT, RemoteDisk, RemoteFile, SHELL_ARGUMENT,
    VENDOR_CLASS,
};
pub use inventory::{DefinitionFile, Inventory, Problem, Reason};
pub use mac::{MacAddr, NotMacAddr};
pub use machine::{Invalid, Machine, ssh_keys};
pub use manifest::{
    Compression, DiskImage, FILE_NAME as MANIFEST_FILE, FileName, ImageFile, ImageManifest, ImagePart, InvalidManifest,
    NotFileName, NotSha256, Sha256,
};
pub use name::{ImageName, InvalidName, MachineName, ProfileName};
pub use network::{Ipv4Net, NotIpv4Net};
pub use network6::{Ipv6Net, NotIpv6Net};
pub use networks::Networks;
pub use once::Once;
pub use status::{
    BootReport, Configuration, DnsCounts, DnsHealth, Health, LabStatus, MachineReport, MachineStatus, NameServerHealth,
    ReachedStage, TlsHealth,
};
pub use uuid::{NotUuid, Uuid};
