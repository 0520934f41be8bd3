//! The documents by which cloud-init configures an installed machine, and the ISO 9660 image that carries them.
//!
//! cloud-init's NoCloud data source reads four documents from a file system labelled `cidata`: `meta-data` says which
//! machine this is, `user-data` who may log in, `network-config` how it reaches the lab, `vendor-data` what the lab wants
//! to know. The templates are in `cloud-init/`, for targets and for provisioners; every value in them is quoted, so that none can be read as YAML.
//!
//! What a machine's owner wrote beside them is merged with them by cloud-init's own rules, and [checked](`check()`) before a machine gets it.
//!
//! Equal input gives equal bytes: a seed's digest can be told before the seed is fetched. So this crate writes the image
//! itself: the library that could, stamps every record with the time of day.

mod check;
mod iso;
mod multipart;
mod provisioner;
mod quote;
mod seed;
mod user;

pub use check::{Finding, Purpose, check, check_all};
pub use iso::{Iso, NotInIso, iso};
pub use provisioner::Provisioner;
pub use seed::{Seed, Subject};
pub use user::{NotUserName, UserName};
