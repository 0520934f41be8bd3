//! `GET /boot/<file>` and `GET /installer/<arch>`: the programs that are part of this one.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as Extract};
use axum::response::{IntoResponse, Response};
use http::{Method, header};
use lab_model::{Arch, FetchedFile, MacAddr, What};
use pxe_proto::boot;
use serde::Deserialize;

use super::State;
use super::client::Client;
use super::refusal::Refusal;
use super::script::ipxe;
use crate::boot_files::BootFile;

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
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let Path(name) = path?;
    if name == AUTOEXEC {
        return Ok(ipxe(boot::autoexec(state.base)));
    }
    let Some(file) = BootFile::network_boot_program(&name) else {
        return Err(Refusal::not_found(format!("there is no boot program `{}`", name.escape_default())));
    };
    let fetch = Fetch { method, mac: client.machine(None, &state), kind: FetchedFile::BootProgram };
    // UEFI 2.10 §24.7.3.3.3: by this type firmware knows that it can start the file.
    answer(file, "application/efi", &fetch, &state)
}

pub(super) async fn installer(
    Extract(state): Extract<Arc<State>>,
    method: Method,
    client: Client,
    path: Result<Path<Arch>, PathRejection>,
    query: Result<Query<For>, QueryRejection>,
) -> Result<Response, Refusal> {
    let (Path(arch), Query(For { mac })) = (path?, query?);
    let fetch = Fetch { method, mac: client.machine(mac, &state), kind: FetchedFile::Installer };
    answer(BootFile::Installer(arch), "application/octet-stream", &fetch, &state)
}

struct Fetch {
    method: Method,
    mac: Option<MacAddr>,
    kind: FetchedFile,
}

fn answer(file: BootFile, content_type: &'static str, fetch: &Fetch, state: &State) -> Result<Response, Refusal> {
    let Some(contents) = file.contents() else {
        return Err(Refusal::not_found(format!("pxe-server was built without {}", file.name())));
    };
    if let Some(mac) = fetch.mac
        && fetch.method == Method::GET
    {
        state.journal.record(mac, What::Fetch { file: fetch.kind, bytes: contents.len() as u64 });
    }
    Ok(([(header::CONTENT_TYPE, content_type)], contents).into_response())
}
