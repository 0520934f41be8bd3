//! `GET /cloud-init/<name>/<document>`: how an installed machine is configured.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as Extract};
use axum::response::{IntoResponse, Response};
use cloud_seed::{Seed, Subject};
use http::Method;
use lab_model::{FetchedFile, Machine, MachineName, RemoteFile, Sha256, What};
use pxe_proto::boot::{self, Asker};
use serde::Deserialize;
use sha2::Digest as _;
use tracing::info;

use super::State;
use super::client::Client;
use super::delivery::Deliveries;
use super::refusal::Refusal;

/// Which installation a seed is for.
#[derive(Deserialize)]
pub(super) struct Installation {
    instance: Option<String>,
}

/// The whole seed, as an ISO 9660 image.
const ISO: &str = "seed.iso";

/// More is no name of an installation.
const MAX_INSTANCE_BYTES: usize = 128;

pub(super) async fn document(
    Extract(state): Extract<Arc<State>>,
    method: Method,
    client: Client,
    deliveries: Deliveries,
    path: Result<Path<(MachineName, String)>, PathRejection>,
    query: Result<Query<Installation>, QueryRejection>,
) -> Result<Response, Refusal> {
    let (Path((name, document)), Query(Installation { instance })) = (path?, query?);
    let Some(machine) = state.inventory.borrow().by_name(&name).cloned() else {
        return Err(Refusal::not_found(format!("nobody has defined a machine {name}")));
    };
    client.admit(&machine, &state)?;
    if client.is_whoever_has_its_address(&state) {
        check_due(&machine, &state)?;
    }
    let instance = match instance {
        None => current_instance(&machine, &state),
        Some(instance) if instance.len() <= MAX_INSTANCE_BYTES => instance,
        Some(_) => return Err(Refusal::malformed("instance: too long for the name of an installation")),
    };

    let seed = seed(&machine, &instance, &state);
    if document == ISO {
        let parcel = deliveries.begin(Some(machine.mac), FetchedFile::Seed, &state.journal);
        return Ok(parcel.answer(cloud_seed::iso(&seed).into(), "application/octet-stream", &method));
    }
    match seed.files().into_iter().find(|(file, _)| *file == document) {
        Some((_, text)) => Ok(text.to_owned().into_response()),
        None => Err(Refusal::not_found(format!("a seed has no document `{}`", document.escape_default()))),
    }
}

/// The seed of the installation that is under way, as the installer is told of it.
pub(super) fn remote(machine: &Machine, state: &State) -> RemoteFile {
    let instance = current_instance(machine, state);
    let iso = cloud_seed::iso(&seed(machine, &instance, state));
    RemoteFile {
        // The URL says which installation it is for, so that what is fetched is what the digest is of.
        url: state.plain().seed(&machine.name, &instance),
        size: iso.len() as u64,
        sha256: Sha256(sha2::Sha256::digest(&iso).into()),
    }
}

/// Asks whether the machine may still have its seed; the timeline says why it may not.
fn check_due(machine: &Machine, state: &State) -> Result<(), Refusal> {
    let timelines = state.journal.snapshot();
    let timeline = timelines.of(machine.mac);
    let handover = timeline.map(|timeline| timeline.handover()).unwrap_or_default();
    let once = timeline.and_then(|timeline| timeline.once());
    let boot = boot::decide(Some(machine), &state.profiles.borrow(), &Asker { once, ..Asker::default() });
    handover.check(&boot).map_err(|handed_over| {
        let reason = handed_over.to_string();
        info!(machine = %machine.name, mac = %machine.mac, reason, "seed refused");
        let refusal = Refusal::forbidden(format!("no seed for {}: {reason}", machine.name));
        state.journal.record(machine.mac, What::FetchRefused { file: FetchedFile::Seed, reason });
        refusal
    })
}

fn seed(machine: &Machine, instance: &str, state: &State) -> Seed {
    let (up_url, plan) = (state.plain().up(machine.mac), state.plan());
    let user = &plan.config.seed.user;
    Seed::new(Subject { machine, instance, user, up_url: &up_url, has_ipv6: state.clients6.is_some() })
}

/// The name of the installation that is under way or was the last: by when its boot began.
fn current_instance(machine: &Machine, state: &State) -> String {
    let timelines = state.journal.snapshot();
    let attempt = timelines.of(machine.mac).and_then(|timeline| timeline.latest());
    let began = attempt.map_or(0, |attempt| attempt.began.as_millisecond());
    format!("{}-{began}", machine.name)
}
