//! The commands, one file each; a command's doc comment is its help.

pub(crate) mod clean;
pub(crate) mod completion;
pub(crate) mod distro;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod network_switch;
pub(crate) mod profile;
pub(crate) mod provisioner;
pub(crate) mod reference;
pub(crate) mod setup;
pub(crate) mod socket_vmnet;
pub(crate) mod status;
pub(crate) mod system;
pub(crate) mod up;
pub(crate) mod vm;
