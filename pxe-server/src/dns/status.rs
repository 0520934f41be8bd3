//! What others may see of the service.

use std::net::SocketAddr;

use lab_model::{DnsCounts, DnsHealth, NameServerHealth};

/// What the service did so far, and how the name servers are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// What became of questions.
    pub(crate) counts: DnsCounts,
    /// The name servers, and whether each answers as far as is known.
    pub(crate) upstreams: Vec<(SocketAddr, bool)>,
}

impl From<Status> for DnsHealth {
    fn from(Status { counts, upstreams }: Status) -> Self {
        let upstreams = upstreams.into_iter().map(|(address, answers)| NameServerHealth { address, answers });
        Self { counts, upstreams: upstreams.collect() }
    }
}
