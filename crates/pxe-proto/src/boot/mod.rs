//! What a machine boots, and how far it got.
//!
//! [`decide`] is the one place that says what a machine boots. [`directions`] is its answer in DHCP's words, [`script()`] in
//! iPXE's. A [`Timeline`] is what a machine's events add up
//! to, and [`diagnose`] says in a sentence where it stands.
//!
//! Deliberately not here: which addresses machines get (`dhcp`), and the files themselves, which the server holds.

mod base_url;
mod diagnosis;
mod policy;
mod script;
mod timeline;

pub use base_url::{BaseUrl, NotBaseUrl};
pub use diagnosis::{Circumstances, Diagnosis, diagnose};
pub use policy::{Boot, BootProgram, Directions, Refusal, built_for, decide, directions};
pub use script::{autoexec, script};
pub use timeline::{Attempt, Timeline, Timelines};
