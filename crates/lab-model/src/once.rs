//! What a machine boots one time.

use serde::{Deserialize, Serialize};

use crate::ProfileName;

/// A profile for the next boot from the network; each boot after that goes on to the disk, for as long as this stands in the
/// definition.
///
/// The server cannot change a definition. It remembers instead which number the machine has had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Once {
    /// The profile.
    pub profile: ProfileName,
    /// Tells this time from any other: another number is another boot.
    pub number: u64,
}
