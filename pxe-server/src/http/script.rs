//! `GET /ipxe`: what a boot program is to do.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{self, State as Extract};
use axum::response::{IntoResponse, Response};
use http::{Method, header};
use lab_model::{MacAddr, ProfileName, What};
use pxe_proto::boot::{self, Asker, Boot, Scene};
use serde::Deserialize;
use tracing::info;

use super::State;
use super::booter::Booter;
use super::client::Client;
use super::refusal::Refusal;

/// Who iPXE says it is, and what was chosen on its console.
#[derive(Deserialize)]
pub(super) struct Query {
    mac: Option<MacAddr>,
    arch: Option<String>,
    profile: Option<ProfileName>,
}

pub(super) async fn script(
    Extract(state): Extract<Arc<State>>,
    method: Method,
    client: Client,
    query: Result<extract::Query<Query>, QueryRejection>,
) -> Result<Response, Refusal> {
    let extract::Query(Query { mac, arch, profile: chosen }) = query?;
    let Some(mac) = mac else { return Ok(ipxe(boot::autoexec(state.base()))) };

    let found = arch.as_deref().and_then(boot::built_for);
    let Booter { machine, class } = Booter::at(mac, found, &state);
    let (profiles, plan) = (state.profiles.borrow().clone(), state.plan());
    let once = state.journal.snapshot().of(mac).and_then(|timeline| timeline.once());
    let is_chosen = chosen.is_some();
    let asker = Asker { found, chosen, once };
    let boot = boot::decide(machine.as_deref(), &profiles, &asker);
    let image = boot.image().and_then(|(image, arch)| state.images.borrow().image(image, arch).cloned());
    let manifest = image.as_deref().map(|image| &image.manifest);
    let boot = boot.with(manifest);
    let text = boot::script(
        &boot,
        &Scene {
            mac,
            machine: machine.as_deref(),
            manifest,
            profiles: &profiles,
            server: plan.lab.server,
            base: state.base(),
            plain: plan.url(state.family),
            user: plan.config.seed.user.as_str(),
        },
    );
    if method == Method::GET {
        let name = machine.as_ref().map(|machine| machine.name.as_str());
        info!(machine = name, %mac, class, stage = "script", boot = boot.word(), "boot script");
        if let Some(mac) = client.machine(Some(mac), &state) {
            state.journal.record(mac, What::Script { boot: boot.word().to_owned() });
            let once = machine.as_ref().and_then(|machine| machine.once.as_ref());
            // What it cannot have, it has not had.
            let has = !matches!(boot, Boot::Local | Boot::Refuse(_)) && (manifest.is_some() || boot.image().is_none());
            if let Some(once) = once.filter(|_| has && !is_chosen) {
                state.journal.record(mac, What::Once { number: once.number });
            }
        }
    }
    Ok(ipxe(text))
}

/// A script as an answer.
pub(super) fn ipxe(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
