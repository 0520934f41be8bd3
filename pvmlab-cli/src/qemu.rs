//! QEMU: what a machine's emulator is started with, and the process while it runs.
//!
//! [`command_line`] is pure: the whole argv is a function of a guest and a platform. [`power`] switches machines on and off,
//! [`process`] knows which process is whose, [`qmp`] and [`console`] talk to a machine that runs.

pub(crate) mod accelerator;
pub(crate) mod command_line;
pub(crate) mod console;
pub(crate) mod emulator;
pub(crate) mod firmware;
pub(crate) mod power;
pub(crate) mod process;
pub(crate) mod qmp;
pub(crate) mod socket;
