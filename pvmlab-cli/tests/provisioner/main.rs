//! What happens inside a provisioner, and between it and the command, with the guest played by a folder: its files are real,
//! its script is, and `systemctl`, `mount` and `ssh` are replaced by a few lines each.

mod boot;
mod command;
mod deploy;
mod guest;
mod push;
