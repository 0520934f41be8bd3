//! The commands, one file each; a command's doc comment is its help.

pub(crate) mod setup;
