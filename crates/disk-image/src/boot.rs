//! What an image's own boot loader would start: its configuration as text, kernels by their names.

mod bls;
mod entry;
mod grub;
mod grubenv;
mod version;

pub(crate) use bls::{Bls, choose as choose_bls};
pub(crate) use entry::Entry;
pub(crate) use grub::Menu;
pub(crate) use grubenv::{Environment, read as read_grubenv};
pub(crate) use version::compare as compare_versions;
