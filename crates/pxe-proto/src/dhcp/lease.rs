//! One lease: who has which address until when.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab_model::{MacAddr, MachineName};
use serde::{Deserialize, Deserializer, Serialize};

/// What is kept of one address; one entry of the lease journal, where a later one replaces an earlier one of the same
/// address or of the same machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LeaseRecord<A = Ipv4Addr> {
    /// The client.
    pub mac: MacAddr,
    /// The address that it has or had.
    pub address: A,
    /// What became of it.
    pub state: LeaseState,
    /// Since when.
    pub granted: UnixSeconds,
    /// The last second in which nobody else can have the address.
    pub expires: UnixSeconds,
    /// What the client calls itself, where that can be a name.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "name_or_none")]
    pub hostname: Option<MachineName>,
}

/// What became of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseState {
    /// Offered to the client, which has not asked for it yet. Such a record is never handed out to be kept.
    Offered,
    /// Leased to the client. After the end of the lease it is the client's until somebody else needs it.
    Bound,
    /// Given back by the client, and its own until somebody else needs it.
    Released,
    /// Found in use by a host that did not ask for it: nobody's.
    Declined,
}

impl LeaseState {
    /// Whether the address is, or was, the client's.
    pub(super) const fn is_somebodys(self) -> bool {
        match self {
            Self::Bound | Self::Released => true,
            Self::Offered | Self::Declined => false,
        }
    }
}

/// A moment in whole seconds since 1970-01-01 00:00:00 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// The moment this much later, rounded down to whole seconds.
    pub const fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }
}

impl From<SystemTime> for UnixSeconds {
    /// The second that the time lies in; the epoch for earlier ones.
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }
}

/// What an earlier version wrote may be no name; the lease counts all the same.
fn name_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MachineName>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|text| text.parse().ok()))
}

impl<A> LeaseRecord<A> {
    /// Whether the address is the client's alone, or nobody's, at this moment.
    pub fn is_active(&self, now: UnixSeconds) -> bool {
        match self.state {
            LeaseState::Offered | LeaseState::Bound | LeaseState::Declined => self.expires >= now,
            LeaseState::Released => false,
        }
    }
}
