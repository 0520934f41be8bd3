//! `pvmlab`: builds, boots and looks after the virtual machines of a lab, on Linux or macOS.
//!
//! A command is a file in `commands/`; its doc comment is its help. Below the commands:
//!
//! - `home`: where everything lies (`~/.pvmlab`), and the lock that concurrent commands take
//! - `error`: what went wrong, what to do about it, and the exit code that says so
//! - `store`: every machine of the lab, as the definitions in its home have them
//! - `distros`: vendors' cloud images, and how they come here
//! - `images`: the operating system images of the home; `disk`: the disks that are made from them; `snapshot`, `clone`: what they were, and others like them
//! - `profiles`: what machines boot beside an image, and what a machine gets by them
//! - `cloud_init`: what a machine's owner tells it beside what the lab tells it
//! - `host`: what this computer is and has; `hardware`: what a machine is built from
//! - `network`: what machines' interfaces are plugged into; `qemu`: their emulators, from argv to power button
//! - `provisioner`: the machine that serves the others: its seed, its server, what that says
//! - `ssh`: logging in to machines, with keys and options of the lab's own
//! - `ui`: data to standard output as text or JSON, messages to standard error
//!
//! What is deliberately not here: what a machine boots and how it is installed. `pxe-proto` decides that, for `pxe-server` inside the
//! provisioner and where this program shows it; what happened is asked of the server.

mod boot;
mod cli;
mod clone;
mod cloud_init;
mod commands;
mod declared;
mod disk;
mod distros;
mod error;
mod file;
mod hardware;
mod home;
mod host;
mod images;
mod interrupt;
mod lab_file;
mod lab_network;
mod network;
mod new_machine;
mod plan;
mod profiles;
mod progress;
mod provisioner;
mod qemu;
mod removal;
mod snapshot;
mod ssh;
mod store;
mod table;
mod ui;
mod waiting;

pub use cli::{command, run};
pub use images::{assemble_into as assemble_image, prepare_into as prepare_image};
