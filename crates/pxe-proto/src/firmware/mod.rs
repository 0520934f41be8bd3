//! Firmware that speaks the protocols of network boot badly, and how it is treated.
//!
//! A [`Quirk`] is a fault that somebody has documented, or that the lab's owner knows of: who has it, and what is done about it.
//! [`Quirks`] are all of them. A [`StepDown`] is what is found out here: firmware that fails is served more gently the next time, one
//! [`Step`] after the other. What either comes to is a [`Treatment`], by which DHCP and TFTP answer.
//!
//! Deliberately not here: what holds for every firmware, because it harms none. That is where the answer is written: the byte behind a
//! boot file name and PXE's own options (`dhcp`), the blocks and windows of a transfer (`tftp`).

mod quirk;
mod step_down;
mod treatment;

pub use quirk::{KNOWN_QUIRKS, KnownQuirk, Quirk, Quirks};
pub use step_down::{Step, StepDown};
pub use treatment::Treatment;
