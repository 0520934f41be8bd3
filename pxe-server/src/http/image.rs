//! `GET /images/<name>/<arch>/<file>`: what an image consists of, whole or in ranges.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as Extract};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, StatusCode, header};
use lab_model::{Arch, FetchedFile, FileName, ImageName};
use rustix::io::{ReadWriteFlags, preadv2};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::warn;

use super::State;
use super::boot::For;
use super::client::Client;
use super::delivery::{Deliveries, Parcel};
use super::range::{Wanted, wanted};
use super::refusal::Refusal;
use super::sendfile::{PART, Parts};

/// How much is read at a time. With less, the processor's time goes into turns between reading and sending; with more,
/// clients that take nothing hold too much memory.
const CHUNK: u64 = 256 << 10;

/// How long a file system may take: as long as iPXE waits for a byte.
const HANG_LIMIT: Duration = Duration::from_secs(30);

pub(super) async fn file(
    Extract(state): Extract<Arc<State>>,
    method: Method,
    client: Client,
    (deliveries, parts): (Deliveries, Parts),
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
        let reads = state.limits.reads.clone();
        let opened = on_disk(&reads, move || file.open()).await;
        let opened = opened.map_err(|error| {
            warn!(image = %name, %arch, ?kind, %error, "cannot be read");
            Refusal::unavailable(format!("the image {name} for {arch} cannot be read: {error}"))
        })?;
        // A part from the middle is no step of a boot; a disk comes in nothing but parts, and the installer tells of them.
        let step = range == (0..size) || range.end == size && kind != FetchedFile::Disk;
        let mac = client.machine(mac, &state).filter(|_| step);
        stream(
            Reading { file: Arc::new(opened), at: range.start, end: range.end, sent: Bytes::new() },
            (reads, parts),
            deliveries.begin(mac, kind, &state.journal),
        )
    };
    Ok(response.body(body).expect("headers of plain characters"))
}

/// The file piece by piece, as fast as the client takes it: the next piece is looked for once those before it are sent.
///
/// What is in the page cache is left for the connection to send from there. The rest is read on a thread that may block.
fn stream(reading: Reading, (reads, parts): (Arc<Semaphore>, Parts), parcel: Parcel) -> Body {
    let pieces =
        stream::try_unfold((reading, reads, parts, parcel), async |(mut reading, reads, parts, mut parcel)| {
            if reading.at >= reading.end {
                return Ok::<_, io::Error>(None);
            }
            let piece = match reading.cached() {
                Some(length) => {
                    let piece = parts.stand_in(&reading.file, reading.at, length);
                    reading.at += length as u64;
                    piece
                }
                None => {
                    reading = on_disk(&reads, || reading.next()).await?;
                    reading.sent.clone()
                }
            };
            parcel.count(piece.len() as u64);
            if reading.at == reading.end {
                parcel.close();
            }
            Ok(Some((piece, (reading, reads, parts, parcel))))
        });
    Body::from_stream(pieces)
}

/// Does something with a file on a thread that may block, and waits for it no longer than the limit.
async fn on_disk<T: Send + 'static>(
    reads: &Arc<Semaphore>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let reads = reads.clone();
    let done = async move {
        let place = reads.acquire_owned().await.expect("nobody closes the semaphore");
        // The place is taken until the thread is free again, whether or not somebody still waits.
        let work = move || {
            let _taken = place;
            work()
        };
        spawn_blocking(work).await?
    };
    let hangs = || io::Error::new(io::ErrorKind::TimedOut, "the file system does not answer");
    timeout(HANG_LIMIT, done).await.map_err(|_| hangs()).flatten()
}

/// A file that is being sent.
struct Reading {
    file: Arc<File>,
    at: u64,
    end: u64,
    /// The piece that was read last.
    sent: Bytes,
}

impl Reading {
    /// The length of the next piece where all of it is in the page cache, so that sending it waits for no disk.
    ///
    /// Both ends are asked for: nothing but a shortage of memory takes pages out of a file's middle. A file system that cannot say
    /// refuses, as those of the network do, and its files are read.
    fn cached(&self) -> Option<usize> {
        let length = (self.end - self.at).min(PART as u64);
        let is_there = |at| preadv2(&*self.file, &mut [IoSliceMut::new(&mut [0])], at, ReadWriteFlags::NOWAIT) == Ok(1);
        (is_there(self.at + length - 1) && is_there(self.at)).then_some(length as usize)
    }

    /// Reads the next piece, where possible into the memory of the last: fresh memory costs as much as reading.
    fn next(self) -> io::Result<Self> {
        let Self { file, at, end, sent } = self;
        let length = CHUNK.min(end - at);
        let mut piece = sent.try_into_mut().unwrap_or_default();
        piece.resize(length as usize, 0);
        file.read_exact_at(&mut piece, at)?;
        Ok(Self { file, at: at + length, end, sent: piece.freeze() })
    }
}
