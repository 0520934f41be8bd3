//! `GET /boot/<file>` and `GET /installer/<arch>`: the programs that are part of this one.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as Extract};
use axum::response::Response;
use http::Method;
use lab_model::{Arch, FetchedFile, MacAddr};
use pxe_proto::boot;
use serde::Deserialize;

use super::State;
use super::client::Client;
use super::delivery::{Deliveries, Parcel};
use super::refusal::Refusal;
use super::script::ipxe;
use crate::boot_files::BootFile;
use crate::tls;

/// Whose boot a request says it is part of.
#[derive(Deserialize)]
pub(super) struct For {
    pub(super) mac: Option<MacAddr>,
}

/// The script that iPXE fetches from where it was loaded itself.
const AUTOEXEC: &str = "autoexec.ipxe";

pub(super) async fn program(
    Extract(state): Extract<Arc<State>>,
    method: Method,
    client: Client,
    deliveries: Deliveries,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let Path(name) = path?;
    if name == AUTOEXEC {
        return Ok(ipxe(boot::autoexec(state.plan().boot_url(state.family))));
    }
    let Some(file) = BootFile::network_boot_program(&name) else {
        return Err(Refusal::not_found(format!("there is no boot program `{}`", name.escape_default())));
    };
    let parcel = deliveries.begin(client.machine(None, &state), FetchedFile::BootProgram, &state.journal);
    // UEFI 2.10 §24.7.3.3.3: by this type firmware knows that it can start the file.
    answer(file, &state, "application/efi", &method, parcel)
}

pub(super) async fn installer(
    Extract(state): Extract<Arc<State>>,
    method: Method,
    client: Client,
    deliveries: Deliveries,
    path: Result<Path<Arch>, PathRejection>,
    query: Result<Query<For>, QueryRejection>,
) -> Result<Response, Refusal> {
    let (Path(arch), Query(For { mac })) = (path?, query?);
    let parcel = deliveries.begin(client.machine(mac, &state), FetchedFile::Installer, &state.journal);
    answer(BootFile::Installer(arch), &state, "application/octet-stream", &method, parcel)
}

fn answer(
    file: BootFile,
    state: &State,
    content_type: &'static str,
    method: &Method,
    parcel: Parcel,
) -> Result<Response, Refusal> {
    let Some(contents) = tls::served(state.identity.as_ref(), file) else {
        return Err(Refusal::not_found(format!("pxe-server was built without {}", file.name())));
    };
    Ok(parcel.answer(contents, content_type, method))
}
