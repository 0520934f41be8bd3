//! `POST /events/<mac>` and `POST /machines/<mac>/up`: machines say how far they are.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use bytes::Bytes;
use http::StatusCode;
use lab_model::{InstallerReport, MacAddr, What};
use tokio::time::timeout;
use tracing::info;

use super::State;
use super::booter::Booter;
use super::client::Client;
use super::refusal::Refusal;

/// A report is a few hundred bytes; what cloud-init posts may carry a host key.
const MAX_BODY_BYTES: usize = 16 << 10;

/// How long a body may take to arrive.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// A failure's reason may hold the end of a program's output, but no more of it than people read.
const MAX_TEXT_CHARS: usize = 1000;

pub(super) async fn report(
    Extract(state): Extract<Arc<State>>,
    client: Client,
    path: Result<Path<MacAddr>, PathRejection>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let mac = own(client, &state, path)?;
    let body = read(body).await?;
    let mut report: InstallerReport =
        serde_json::from_slice(&body).map_err(|error| Refusal::malformed(format!("no report: {error}")))?;
    if report.percent.is_some_and(|percent| percent > 100) {
        return Err(Refusal::malformed("no report: percent is above 100"));
    }
    for text in [&mut report.failure, &mut report.detail].into_iter().flatten() {
        *text = text.chars().take(MAX_TEXT_CHARS).collect();
    }
    let InstallerReport { phase, percent, failure, detail } = &report;
    info!(machine = name(&state, mac), %mac, stage = "installer", ?phase, percent, failure, detail, "installer");
    state.journal.record(mac, What::Installer(report));
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn up(
    Extract(state): Extract<Arc<State>>,
    client: Client,
    path: Result<Path<MacAddr>, PathRejection>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let mac = own(client, &state, path)?;
    // What cloud-init posts tells nothing that the path does not.
    read(body).await?;
    info!(machine = name(&state, mac), %mac, stage = "up", "up");
    state.journal.record(mac, What::Up);
    Ok(StatusCode::NO_CONTENT)
}

/// The machine's name, for the log.
fn name(state: &State, mac: MacAddr) -> Option<String> {
    state.inventory.borrow().by_mac(mac).map(|machine| machine.name.to_string())
}

/// The machine that the path names, which must be the one that speaks.
fn own(client: Client, state: &State, path: Result<Path<MacAddr>, PathRejection>) -> Result<MacAddr, Refusal> {
    let Path(mac) = path?;
    let Some(machine) = Booter::at(mac, None, state).machine else {
        return Err(Refusal::not_found(format!("nobody has defined the machine {mac}")));
    };
    client.admit(&machine, state)?;
    Ok(mac)
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    match timeout(BODY_LIMIT, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(Refusal::too_large(format!("expected a body of at most {MAX_BODY_BYTES} bytes"))),
        Err(_) => Err(Refusal::too_slow(format!("expected the body within {} seconds", BODY_LIMIT.as_secs()))),
    }
}
