//! Files on their way to machines: recorded once their last byte has left our hands, or when the client broke off.
//!
//! hyper asks a body for its pieces while earlier ones wait in its buffer, so that the end of a body says nothing yet. It
//! flushes a connection only when that buffer is empty: then the kernel has everything.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::request::Parts;
use http::{Method, header};
use lab_model::{FetchedFile, MacAddr, What};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::silent::Visitor;
use crate::journal::Journal;

/// The files that hyper has whole and the kernel perhaps not, on one connection. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Deliveries(Arc<Mutex<Vec<Delivery>>>);

/// A file on its way to a machine; nothing is recorded of one that goes to nobody's.
#[derive(Debug)]
pub(super) struct Parcel {
    delivery: Option<Delivery>,
    deliveries: Deliveries,
}

/// What is recorded of a file: where this is dropped, that the client broke off.
#[derive(Debug)]
struct Delivery {
    journal: Journal,
    mac: MacAddr,
    file: FetchedFile,
    bytes: u64,
    end: End,
}

/// How far a delivery got.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Nothing was sent, because the request was refused or wanted the head alone.
    NotSent,
    /// The client can have a part of it.
    BrokenOff,
    /// The kernel has all of it.
    Sent,
}

/// A connection that tells when everything has left: its deliveries, and who may rest then.
pub(super) struct Delivering<S> {
    stream: S,
    deliveries: Deliveries,
    visitor: Visitor,
}

impl<S: Sync> FromRequestParts<S> for Deliveries {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let deliveries = parts.extensions.get::<Self>();
        Ok(deliveries.expect("the connection's task puts them into every request").clone())
    }
}

impl Deliveries {
    /// Begins to send `file` to the machine with this hardware address.
    pub(super) fn begin(&self, mac: Option<MacAddr>, file: FetchedFile, journal: &Journal) -> Parcel {
        let end = End::NotSent;
        let delivery = mac.map(|mac| Delivery { journal: journal.clone(), mac, file, bytes: 0, end });
        Parcel { delivery, deliveries: self.clone() }
    }

    fn have_left(&self) {
        let left = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        left.into_iter().for_each(Delivery::complete);
    }
}

impl Parcel {
    /// Counts bytes that hyper gets next.
    pub(super) fn count(&mut self, bytes: u64) {
        if let Some(delivery) = &mut self.delivery {
            delivery.bytes += bytes;
            delivery.end = End::BrokenOff;
        }
    }

    /// These bytes were the last.
    pub(super) fn close(&mut self) {
        if let Some(delivery) = self.delivery.take() {
            self.deliveries.0.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
        }
    }

    /// An answer of one piece, or only its head.
    pub(super) fn answer(self, contents: Bytes, content_type: &'static str, method: &Method) -> Response {
        let response = Response::builder()
            .header(header::CONTENT_TYPE, content_type)
            .header(header::CONTENT_LENGTH, contents.len());
        let body = if method == Method::HEAD { Body::empty() } else { self.whole(contents) };
        response.body(body).expect("headers of plain characters")
    }

    fn whole(self, contents: Bytes) -> Body {
        Body::from_stream(stream::unfold(Some((self, contents)), async |begin| {
            let (mut parcel, contents) = begin?;
            parcel.count(contents.len() as u64);
            parcel.close();
            Some((Ok::<_, Infallible>(contents), None))
        }))
    }
}

impl Delivery {
    fn complete(mut self) {
        self.end = End::Sent;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let Self { mac, file, bytes, .. } = *self;
        let what = match self.end {
            End::NotSent => return,
            End::BrokenOff => What::FetchAborted { file, bytes },
            End::Sent => What::Fetch { file, bytes },
        };
        self.journal.record(mac, what);
    }
}

impl<S> Delivering<S> {
    /// A connection with these deliveries.
    pub(super) fn new(stream: S, deliveries: Deliveries, visitor: Visitor) -> Self {
        Self { stream, deliveries, visitor }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Delivering<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Delivering<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = ready!(Pin::new(&mut this.stream).poll_flush(context));
        if flushed.is_ok() {
            this.deliveries.have_left();
            this.visitor.rest();
        }
        Poll::Ready(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
