//! The contract between pvmlab's programs.
//!
//! What two programs must agree on is here and nowhere else: how a machine is defined ([`Definition`] as written,
//! [`Machine`] as found valid), which machines a lab has ([`Inventory`]), what an image consists of
//! ([`ImageManifest`]), what happened at boot ([`Event`], [`Stage`]), what the installer is told
//! ([`InstallerConfig`]) and what the server says of a machine ([`MachineStatus`]).
//!
//! Deliberately not here: what to answer to a packet (`pxe-proto`), and any file, socket or clock.

mod arch;
mod manifest;
mod name;
mod text;

pub use arch::{Arch, NotArch};
pub use manifest::{Compression, DiskImage, FileName, ImageFile, ImageManifest, InvalidManifest, Sha256};
pub use name::{ImageName, InvalidName, MachineName};

/// The name under which a manifest lies in its image's folder.
pub const MANIFEST_FILE: &str = manifest::FILE_NAME;
