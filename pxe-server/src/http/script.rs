//! `GET /ipxe`: what a boot program is to do.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State as Extract};
use axum::response::{IntoResponse, Response};
use http::{Method, header};
use lab_model::{MacAddr, What};
use pxe_proto::boot::{self, Boot};
use serde::Deserialize;
use tracing::info;

use super::State;
use super::client::Client;
use super::refusal::Refusal;

/// Who iPXE says it is.
#[derive(Deserialize)]
pub(super) struct Asker {
    mac: Option<MacAddr>,
    arch: Option<String>,
}

pub(super) async fn script(
    Extract(state): Extract<Arc<State>>,
    method: Method,
    client: Client,
    asker: Result<Query<Asker>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(Asker { mac, arch }) = asker?;
    let Some(mac) = mac else { return Ok(ipxe(boot::autoexec(state.base))) };

    let machine = state.inventory.borrow().by_mac(mac).cloned();
    let boot = boot::decide(machine.as_deref(), arch.as_deref().and_then(boot::built_for));
    let image = match &boot {
        Boot::Install { image, arch, .. } => state.images.borrow().image(image, *arch).cloned(),
        Boot::Local | Boot::Unknown | Boot::Refuse(_) => None,
    };
    let text = boot::script(&boot, mac, image.as_deref().map(|image| &image.manifest), state.base);
    if method == Method::GET {
        let name = machine.as_ref().map(|machine| machine.name.as_str());
        info!(machine = name, %mac, stage = "script", boot = boot.word(), "boot script");
        if let Some(mac) = client.machine(Some(mac), &state) {
            state.journal.record(mac, What::Script { boot: boot.word().to_owned() });
        }
    }
    Ok(ipxe(text))
}

/// A script as an answer.
pub(super) fn ipxe(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
