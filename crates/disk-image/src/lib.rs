//! What is on the disk of a vendor's image: how it is partitioned, which files it has, and what it would boot by itself.
//!
//! A disk is anything that can be read at a place ([`ReadAt`]); [`Qcow2`] makes one of a file in that format. [`Boot::find`]
//! looks for kernel, initrd and command line as the image's own boot loader would: by its entries or its menu, by links, and
//! at last by the newest version. What comes in is a stranger's: nothing here panics or takes memory without bound.
//!
//! Deliberately not here: files and threads, compressing the disk, and writing an image's folder, which `pvmlab` does.

mod boot;
mod ext4;
mod fat;
mod files;
mod kernel;
mod partition;
mod qcow2;
mod read_at;
mod system;
mod volume;

pub use files::Unreadable;
pub use kernel::{Kernel, NotKernel};
pub use partition::{NoTable, Partition, Table, TableKind};
pub use qcow2::{NotQcow2, Qcow2};
pub use read_at::{Part, ReadAt};
pub use system::{Boot, By, NotBootable};
pub use volume::Volume;
