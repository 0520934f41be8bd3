//! `GET /images/<name>/<arch>/<file>`: what an image consists of, whole or in ranges.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as Extract};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, StatusCode, header};
use lab_model::{Arch, FetchedFile, FileName, ImageName, MacAddr, What};
use tokio::task::spawn_blocking;
use tracing::warn;

use super::State;
use super::boot::For;
use super::client::Client;
use super::range::{Wanted, wanted};
use super::refusal::Refusal;
use crate::journal::Journal;

/// How much is read at a time: with less, the processor's time goes into turns between reading and sending.
const CHUNK: u64 = 1 << 20;

pub(super) async fn file(
    Extract(state): Extract<Arc<State>>,
    method: Method,
    client: Client,
    path: Result<Path<(ImageName, Arch, FileName)>, PathRejection>,
    query: Result<Query<For>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (Path((name, arch, file)), Query(For { mac })) = (path?, query?);
    let Some(image) = state.images.borrow().image(&name, arch).cloned() else {
        return Err(Refusal::not_found(format!("there is no image {name} for {arch}")));
    };
    let Some(file) = image.file(&file) else {
        return Err(Refusal::not_found(format!("the image {name} for {arch} has no file {file}")));
    };

    let entity_tag = format!("\"{}\"", file.sha256);
    let response = Response::builder()
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, &entity_tag);
    let (status, range) = match wanted(&headers, file.size, &entity_tag) {
        Wanted::Whole => (StatusCode::OK, 0..file.size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Unsatisfiable => {
            let size = format!("bytes */{}", file.size);
            let response = response.status(StatusCode::RANGE_NOT_SATISFIABLE).header(header::CONTENT_RANGE, size);
            return Ok(response.body(Body::empty()).expect("headers of plain characters"));
        }
    };
    let mut response = response.status(status).header(header::CONTENT_LENGTH, range.end - range.start);
    if status == StatusCode::PARTIAL_CONTENT {
        let place = format!("bytes {}-{}/{}", range.start, range.end - 1, file.size);
        response = response.header(header::CONTENT_RANGE, place);
    }
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let (size, kind) = (file.size, file.kind);
        let opened = spawn_blocking(move || file.open()).await.map_err(io::Error::from).flatten();
        let opened = opened.map_err(|error| {
            warn!(image = %name, %arch, ?kind, %error, "cannot be read");
            Refusal::unavailable(format!("the image {name} for {arch} cannot be read: {error}"))
        })?;
        let end = Completion { journal: state.journal.clone(), mac: client.machine(mac, &state), kind, size };
        stream(opened, range, end)
    };
    Ok(response.body(body).expect("headers of plain characters"))
}

/// Records that a machine has a file to its end.
struct Completion {
    journal: Journal,
    mac: Option<MacAddr>,
    kind: FetchedFile,
    size: u64,
}

impl Completion {
    fn sent(&self, range: &Range<u64>) {
        if let Some(mac) = self.mac
            && range.end == self.size
        {
            self.journal.record(mac, What::Fetch { file: self.kind, bytes: range.end - range.start });
        }
    }
}

/// Reads `range` piece by piece, as fast as the client takes it: the last piece is read once those before it are sent.
fn stream(file: File, range: Range<u64>, end: Completion) -> Body {
    let pieces = stream::try_unfold((file, range.start, end), move |(file, at, end)| {
        let range = range.clone();
        async move {
            if at >= range.end {
                return Ok::<_, io::Error>(None);
            }
            let length = CHUNK.min(range.end - at);
            let (file, piece) = spawn_blocking(move || read(file, at, length)).await??;
            if at + length == range.end {
                end.sent(&range);
            }
            Ok(Some((piece, (file, at + length, end))))
        }
    });
    Body::from_stream(pieces)
}

fn read(mut file: File, at: u64, length: u64) -> io::Result<(File, Bytes)> {
    let mut piece = Vec::with_capacity(length as usize);
    file.seek(SeekFrom::Start(at))?;
    (&file).take(length).read_to_end(&mut piece)?;
    if piece.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((file, piece.into()))
}
