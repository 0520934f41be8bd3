//! `GET /health`: how the server itself is, for those who deploy it.

use std::fs::File;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::Json;
use axum::extract::State as Extract;
use jiff::Timestamp;
use lab_model::{Health, Ipv4Net, Sha256, TlsHealth};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use super::State;
use crate::dhcp::Rivals;
use crate::images;
use crate::interface::Interface;
use crate::tls;

/// What does not change while the server runs.
#[derive(Clone, Debug)]
pub(crate) struct About {
    started: Instant,
    server: Ipv4Net,
    interface: Option<Interface>,
    program: Arc<OnceCell<Option<Sha256>>>,
}

/// The program that runs, even where its file was replaced.
const PROGRAM: &str = "/proc/self/exe";

impl About {
    /// A server that starts now, at this address and on this interface, if it is bound to one.
    pub(crate) fn new(server: Ipv4Net, interface: Option<Interface>) -> Self {
        Self { started: Instant::now(), server, interface, program: Arc::default() }
    }

    /// What the program hashes to; computed when it is asked for first.
    async fn program(&self) -> Option<Sha256> {
        let hash = || File::open(PROGRAM).and_then(images::digest_of).ok();
        *self.program.get_or_init(async || spawn_blocking(hash).await.ok().flatten()).await
    }
}

pub(super) async fn health(Extract(state): Extract<Arc<State>>) -> Json<Health> {
    let about = &state.about;
    let program_sha256 = about.program().await;
    let inventory = state.inventory.borrow().clone();
    let images = state.images.borrow().clone();
    let mut addresses = vec![about.server];
    let others = about.interface.iter().flat_map(|interface| &interface.addresses);
    addresses.extend(others.filter(|address| **address != about.server));
    Json(Health {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        program_sha256,
        now: Timestamp::now(),
        uptime_seconds: about.started.elapsed().as_secs(),
        interface: about.interface.as_ref().map(|interface| interface.name.clone()),
        addresses,
        configuration: Some(state.configuration.borrow().clone()),
        url: state.plain().to_string(),
        tls: state.identity.as_ref().and_then(|watch| tls_health(&state, watch)),
        machines: inventory.machines().count(),
        bad_definitions: inventory.problems().len(),
        images: images.images().count(),
        bad_images: images.problems().len(),
        leases: state.leases.as_ref().map(|leases| leases.borrow().leases(SystemTime::now().into())),
        dns: state.names.as_ref().map(|names| names.borrow().clone().into()),
        addresses_from: state.rivals.as_ref().and_then(Rivals::expected),
        other_dhcp_servers: state.rivals.as_ref().map(Rivals::unwanted).unwrap_or_default(),
        hosts_not_believed: state.doubts.known(),
        stopping: state.stopping.is_cancelled(),
    })
}

fn tls_health(state: &State, watch: &tls::Watch) -> Option<TlsHealth> {
    let url = state.plan().secure_url(state.family)?.to_string();
    let standing = watch.borrow().clone();
    let problem = standing.problem.or_else(|| standing.identity.ends_soon(SystemTime::now()));
    Some(TlsHealth { url, ends: standing.identity.ends, problem })
}
