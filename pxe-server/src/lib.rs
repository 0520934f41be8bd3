//! `pxe-server`: what a machine needs to boot from the network, in one program.
//!
//! This crate is the shell round the decisions of `pxe-proto`: sockets, files, clocks. Read it in this order.
//!
//! | file | what it is |
//! | --- | --- |
//! | `args`, `config`, `log` | what the person who runs it says |
//! | `daemon`, `tasks`, `pulse`, `notify` | start: configuration, bind everything, inventory, tasks (by family in `daemon/`), ready; stop: signal or the first task that ends |
//! | `check` | the same start without serving: what is wrong with this configuration, these definitions |
//! | `plan`, `lab`, `lab6` | a configuration that fits the network |
//! | `reload` | another one, while the server runs |
//! | `interface`, `sockets`, `state` | what the server needs for itself before it serves |
//! | `port_owner`, `capability`, `crowd` | who has a port that we want, what we may do, how much one client may take |
//! | `nat` | the machines' way out, and the kernel left as it was |
//! | `definitions`, `inventory` | the machines as their definition files have them now |
//! | `profiles` | what else than an image they can boot, as its folder has it now |
//! | `journal` | what happened to each machine |
//! | `radv` | what machines hear of the IPv6 network |
//! | `dhcp`, `dhcp6`, `duid`, `leases` | addresses, and which boot program |
//! | `dns` | the lab's names, and a way to others' |
//! | `tftp`, `first_file`, `boot_files` | that boot program, by the protocol that firmware speaks |
//! | `tls` | who the server is by TLS, and boot programs that believe it |
//! | `http`, `images` | everything after it: scripts, images, seeds, and what people ask |
//!
//! One task owns each piece of state and is its only writer; everybody else gets snapshots. What comes from the network
//! can be ignored, refused or answered, but it cannot end a task.
//!
//! Deliberately not here: any decision about a packet, a script or a definition; those are pure and in `crates/`.

mod args;
mod boot_files;
mod capability;
mod check;
mod config;
mod crowd;
mod daemon;
mod definitions;
mod dhcp;
mod dhcp6;
mod dns;
mod duid;
mod entries;
mod firmwares;
mod first_file;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod http;
mod images;
mod interface;
mod inventory;
mod journal;
mod lab;
mod lab6;
mod leases;
mod log;
mod nat;
mod neighbours;
mod notify;
mod plan;
mod port_owner;
mod profiles;
mod pulse;
mod radv;
mod reload;
mod sockets;
mod state;
mod tasks;
mod tftp;
mod tls;

pub use args::run;
