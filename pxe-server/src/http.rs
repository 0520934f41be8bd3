//! The HTTP service: scripts for boot programs, configuration and images for installers, seeds for cloud-init, and what
//! became of it all for people.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /ipxe?mac=…&arch=…` | the machine's boot script; without `mac` a script that asks again with it |
//! | `GET /boot/<file>` | a network boot program for UEFI HTTP Boot, or `autoexec.ipxe` |
//! | `GET /images/<name>/<arch>/<file>` | a file that an image's manifest names, in ranges |
//! | `GET /installer/<arch>` | the installer |
//! | `GET /config/<mac>` | what the installer is to do |
//! | `GET /cloud-init/<name>/<document>` | `meta-data`, `user-data`, `network-config`, `vendor-data`, or all as `seed.iso` |
//! | `GET /profiles/<name>/<document>` | what the installer of the machine's profile is told |
//! | `POST /events/<mac>`, `POST /machines/<mac>/up` | the installer and the installed system say how far they are |
//! | `GET /machines`, `GET /machines/<name>` | what became of the machines |
//! | `GET /events?machine=…&since=…` | events, one JSON line each, and those to come |
//! | `GET /health`, `GET /healthz` | how the server itself is; `ok` |
//!
//! `docs/http.md` has who may ask, what comes back and what can go wrong.
//!
//! Every part of a path is parsed into a type that can hold no separator, so no path leads anywhere else. An answer comes
//! from snapshots in memory; only image files are read from disk. An answer that is no success is one line of text.
//!
//! Deliberately not here: what a machine boots and what a script or seed says, which `pxe_proto::boot` and `cloud_seed`
//! decide.

mod boot;
mod booter;
mod client;
mod config;
mod connection;
mod delivery;
mod door;
mod events;
mod following;
mod health;
mod image;
mod limits;
mod machines;
mod patience;
mod profile;
pub(crate) mod range;
mod refusal;
mod script;
mod seed;
mod sendfile;
mod silent;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use lab_model::{Configuration, Inventory};
use pxe_proto::boot::{BaseUrl, Profiles};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::door::Door;
pub(crate) use self::health::About;
pub(crate) use self::limits::Limits;
use crate::dhcp::{Clients, Doubts, Holders, Rivals};
use crate::dhcp6::Clients6;
use crate::dns;
use crate::images::Catalogue;
use crate::journal::Journal;
use crate::plan::{Family, Plan, Plans};
use crate::pulse::Pulse;
use crate::tls;

/// What answers are made of.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The machines.
    pub(crate) inventory: watch::Receiver<Arc<Inventory>>,
    /// The images.
    pub(crate) images: watch::Receiver<Arc<Catalogue>>,
    /// What else than an image machines can boot.
    pub(crate) profiles: watch::Receiver<Arc<Profiles>>,
    /// Where events go, and come from.
    pub(crate) journal: Journal,
    /// The configuration, fitted to the network.
    pub(crate) plans: Plans,
    /// How it is with the configuration's file.
    pub(crate) configuration: watch::Receiver<Configuration>,
    /// By what those ask who come to this listener: URLs lead them back by the same.
    pub(crate) family: Family,
    /// Whether they ask by TLS.
    pub(crate) is_secure: bool,
    /// Who this server is by TLS, where it speaks it.
    pub(crate) identity: Option<tls::Watch>,
    /// Who has which address, where that is known.
    pub(crate) holders: Option<Holders>,
    /// Who has which address by our DHCP; nothing where we serve none.
    pub(crate) leases: Option<watch::Receiver<Clients>>,
    /// The same for IPv6; nothing where the lab has none.
    pub(crate) clients6: Option<Clients6>,
    /// How our DNS is; nothing where we serve none.
    pub(crate) names: Option<watch::Receiver<dns::Status>>,
    /// The other DHCP servers that were seen; nothing where nobody looks for them.
    pub(crate) rivals: Option<Rivals>,
    /// The hosts that are not believed about addresses.
    pub(crate) doubts: Doubts,
    /// What there is to know of the server itself.
    pub(crate) about: About,
    /// What requests may take up.
    pub(crate) limits: Limits,
    /// Cancelled when the server is to end.
    pub(crate) stopping: CancellationToken,
}

impl State {
    fn plan(&self) -> Arc<Plan> {
        self.plans.borrow().clone()
    }

    /// How whoever asks here reaches this server, by the same.
    fn base(&self) -> BaseUrl {
        let secure = || self.plans.borrow().secure_url(self.family);
        self.is_secure.then(secure).flatten().unwrap_or(self.plain())
    }

    /// How those reach it who do not speak TLS: installers, and the systems that they install.
    fn plain(&self) -> BaseUrl {
        self.plans.borrow().url(self.family)
    }

    /// Who has which address, where that is known and counts. Then nobody is told what is another machine's.
    fn clients(&self) -> Option<&Holders> {
        self.holders.as_ref().filter(|_| !self.plans.borrow().config.http.trust_any_client)
    }
}

/// Serves until the token is cancelled; what is being sent then has a few seconds to arrive.
pub(crate) async fn serve(listener: TcpListener, state: State, pulse: Pulse, shutdown: CancellationToken) {
    let door = state.identity.clone().filter(|_| state.is_secure).map_or(Door::Plain, Door::Tls);
    connection::serve(listener, door, router(state), pulse, shutdown).await;
}

fn router(state: State) -> Router {
    Router::new()
        .route("/ipxe", get(script::script))
        .route("/boot/{file}", get(boot::program))
        .route("/installer/{arch}", get(boot::installer))
        .route("/images/{name}/{arch}/{file}", get(image::file))
        .route("/config/{mac}", get(config::config))
        .route("/cloud-init/{name}/{document}", get(seed::document))
        .route("/profiles/{name}/{document}", get(profile::document))
        .route("/events", get(following::follow))
        .route("/events/{mac}", post(events::report))
        .route("/machines", get(machines::all))
        .route("/machines/{name}", get(machines::one))
        .route("/machines/{mac}/up", post(events::up))
        .route("/health", get(health::health))
        .route("/healthz", get(async || "ok\n"))
        .fallback(async || refusal::Refusal::not_found("there is nothing under this path"))
        .with_state(Arc::new(state))
}
