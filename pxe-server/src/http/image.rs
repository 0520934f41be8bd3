//! `GET /images/<name>/<arch>/<file>`: what an image consists of, whole or in ranges.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
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

/// How much is read at a time. With less, the processor's time goes into turns between reading and sending; with more,
/// clients that take nothing hold too much memory.
const CHUNK: u64 = 256 << 10;

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
    let begin = (Reading { file, at: range.start, sent: Bytes::new() }, end);
    let pieces = stream::try_unfold(begin, move |(reading, end)| {
        let range = range.clone();
        async move {
            if reading.at >= range.end {
                return Ok::<_, io::Error>(None);
            }
            let length = CHUNK.min(range.end - reading.at) as usize;
            let reading = spawn_blocking(move || reading.next(length)).await??;
            if reading.at == range.end {
                end.sent(&range);
            }
            Ok(Some((reading.sent.clone(), (reading, end))))
        }
    });
    Body::from_stream(pieces)
}

/// A file that is being sent.
struct Reading {
    file: File,
    at: u64,
    sent: Bytes,
}

impl Reading {
    /// Reads the next piece, where possible into the memory of the last: fresh memory costs as much as reading.
    fn next(self, length: usize) -> io::Result<Self> {
        let Self { file, at, sent } = self;
        let mut piece = sent.try_into_mut().unwrap_or_default();
        piece.resize(length, 0);
        file.read_exact_at(&mut piece, at)?;
        Ok(Self { file, at: at + length as u64, sent: piece.freeze() })
    }
}
