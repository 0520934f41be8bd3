//! What a machine boots, and how far it got.
//!
//! [`decide`] is the one place that says what a machine boots. [`directions`] is its answer in DHCP's words, [`script()`] in
//! iPXE's. A [`Profile`] is what people write about that, [`Profiles`] are all of them. A [`Timeline`] is what a machine's events add up
//! to, and [`diagnose`] says in a sentence where it stands. [`booting`] is a machine with the profile of its class. [`Handover`] is whether a machine may still have its seed.
//!
//! Deliberately not here: which addresses machines get (`dhcp`), and the files themselves, which the server holds.

mod base_url;
mod boot_program;
mod class;
mod diagnosis;
mod handover;
mod policy;
pub mod profile;
mod profiles;
mod script;
mod timeline;

pub use base_url::{BaseUrl, NotBaseUrl};
pub use boot_program::BootProgram;
pub use class::{ByClass, booting, stranger_of};
pub use diagnosis::{Circumstances, Diagnosis, diagnose};
pub use handover::{HandedOver, Handover};
pub use policy::{Asker, Boot, Directions, Refusal, built_for, decide, directions};
pub use profile::Profile;
pub use profiles::Profiles;
pub use script::{Scene, autoexec, script};
pub use timeline::{Attempt, Membership, Timeline, Timelines};
