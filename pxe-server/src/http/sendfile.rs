//! Files on their way from the page cache to a connection without passing through this program: sendfile(2), beneath hyper.
//!
//! hyper sends nothing but bytes. So a body hands it bytes that stand for a part of a file: memory that is known by its address
//! and never read. hyper counts them, and queues them without copying (`writev(true)`); where they come to the connection,
//! it sends the file's part in their place. Everything else stays hyper's business and that of whoever answers.
//!
//! Were they ever copied, a client would get zeroes. That cannot happen unnoticed: once a part is promised, its stand-in has
//! to be in the very next write, or nothing is written any more and the connection ends.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::extract::FromRequestParts;
use bytes::Bytes;
use http::request;
use rustix::net::{SendFlags, send};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// The parts that were promised on one connection and have not left. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts(Arc<Mutex<VecDeque<Part>>>);

#[derive(Clone, Debug)]
struct Part {
    file: Arc<File>,
    at: u64,
    length: usize,
}

/// A connection that sends parts of files where their stand-ins are written.
pub(super) struct Sending<S> {
    stream: S,
    parts: Parts,
}

/// A stream that takes parts of files.
pub(super) trait Outlet: AsyncRead + AsyncWrite + Unpin {
    /// Writes bytes that more will follow at once.
    fn poll_begin(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Poll<io::Result<usize>>;

    /// Sends up to `length` bytes of a file from `at` on, and says how many; none where the file has ended.
    fn poll_send(&mut self, file: &File, at: u64, length: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>>;
}

/// The most that one stand-in stands for: what is in the page cache all at once, and no longer a hold-up for others than this.
pub(super) const PART: usize = 1 << 20;

/// Never read, and so no memory is ever spent on it.
static STAND_IN: [u8; PART] = [0; PART];

impl<S: Sync> FromRequestParts<S> for Parts {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<Self, Self::Rejection> {
        let parts = parts.extensions.get::<Self>();
        Ok(parts.expect("the connection's task puts them into every request").clone())
    }
}

impl Parts {
    /// What to hand hyper, at once, for `length` bytes of a file, at most [`PART`].
    pub(super) fn stand_in(&self, file: &Arc<File>, at: u64, length: usize) -> Bytes {
        let part = Part { file: file.clone(), at, length };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(part);
        Bytes::from_static(&STAND_IN[..length])
    }

    fn first(&self) -> Option<Part> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).front().cloned()
    }

    /// The first part is shorter by what has left.
    fn have_left(&self, bytes: usize) {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = parts.front_mut() {
            (first.at, first.length) = (first.at + bytes as u64, first.length - bytes);
            if first.length == 0 {
                parts.pop_front();
            }
        }
    }
}

impl<S: Outlet> Sending<S> {
    /// A connection with these parts.
    pub(super) fn new(stream: S, parts: Parts) -> Self {
        Self { stream, parts }
    }

    fn poll_pieces(&mut self, pieces: &[IoSlice<'_>], context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(part) = self.parts.first() else {
            return Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        };
        let mut pieces = pieces.iter().filter(|piece| !piece.is_empty());
        let first = pieces.next().ok_or_else(copied)?;
        if !is_stand_in(first) {
            // The head of the answer, behind which the file follows.
            pieces.find(|piece| is_stand_in(piece)).ok_or_else(copied)?;
            return self.stream.poll_begin(first, context);
        }
        if first.len() != part.length {
            return Poll::Ready(Err(copied()));
        }
        let sent = ready!(self.stream.poll_send(&part.file, part.at, part.length, context))?;
        if sent == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter")));
        }
        self.parts.have_left(sent);
        Poll::Ready(Ok(sent))
    }
}

fn is_stand_in(piece: &[u8]) -> bool {
    STAND_IN.as_ptr_range().contains(&piece.as_ptr())
}

fn copied() -> io::Error {
    io::Error::other("what stands for a file's part was not written as such")
}

impl<S: Outlet> AsyncRead for Sending<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: Outlet> AsyncWrite for Sending<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_pieces(&[IoSlice::new(bytes)], context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_pieces(pieces, context)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl Outlet for TcpStream {
    fn poll_begin(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        poll_io(self, context, |stream| Ok(send(stream, bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?))
    }

    fn poll_send(&mut self, file: &File, at: u64, length: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        poll_io(self, context, |stream| Ok(rustix::fs::sendfile(stream, file, Some(&mut { at }), length)?))
    }
}

/// Does what the socket may not have room for, as soon as it has.
fn poll_io(
    stream: &TcpStream,
    context: &mut Context<'_>,
    mut work: impl FnMut(&TcpStream) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(context))?;
        match stream.try_io(Interest::WRITABLE, || work(stream)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::FileExt as _;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    /// A connection inside the process: what sendfile(2) would do is done by reading.
    impl Outlet for DuplexStream {
        fn poll_begin(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Poll<io::Result<usize>> {
            Pin::new(self).poll_write(context, bytes)
        }

        fn poll_send(
            &mut self,
            file: &File,
            at: u64,
            length: usize,
            context: &mut Context<'_>,
        ) -> Poll<io::Result<usize>> {
            let mut bytes = vec![0; length.min(4096)];
            let read = file.read_at(&mut bytes, at)?;
            if read == 0 { Poll::Ready(Ok(0)) } else { Pin::new(self).poll_write(context, &bytes[..read]) }
        }
    }

    #[tokio::test]
    async fn the_file_is_sent_where_its_stand_in_is_written() {
        let (mut sending, parts, mut client) = connection();
        let part = parts.stand_in(&file(b"contents"), 3, 4);

        let head = sending.write_vectored(&[IoSlice::new(b"head "), IoSlice::new(&part)]).await.expect("written");
        let sent = sending.write_vectored(&[IoSlice::new(&part), IoSlice::new(b" tail")]).await.expect("written");
        let tail = sending.write_vectored(&[IoSlice::new(b" tail")]).await.expect("written");
        drop(sending);

        assert_eq!((head, sent, tail), (5, 4, 5));
        let mut received = String::new();
        client.read_to_string(&mut received).await.expect("text");
        assert_eq!(received, "head tent tail");
    }

    #[tokio::test]
    async fn a_part_that_leaves_bit_by_bit_is_whole_in_the_end() {
        let contents: Vec<u8> = (0..100_000_u32).map(|index| (index / 3) as u8).collect();
        let (mut sending, parts, mut client) = connection();
        let mut part = parts.stand_in(&file(&contents), 0, contents.len());
        let received = tokio::spawn(async move {
            let mut received = Vec::new();
            client.read_to_end(&mut received).await.expect("bytes");
            received
        });

        sending.write_all_buf(&mut part).await.expect("written");
        drop(sending);

        assert!(received.await.expect("no panic") == contents);
    }

    #[tokio::test]
    async fn nothing_is_written_once_a_stand_in_is_missing_or_not_whole() {
        for written in [&[0; 4][..], &STAND_IN[..3], &STAND_IN[..5], b""] {
            let (mut sending, parts, mut client) = connection();
            parts.stand_in(&file(b"contents"), 0, 4);

            assert!(sending.write_vectored(&[IoSlice::new(written)]).await.is_err());
            drop(sending);

            assert_eq!(client.read(&mut [0; 16]).await.expect("an end"), 0);
        }
    }

    #[tokio::test]
    async fn a_file_that_has_become_shorter_ends_the_connection() {
        let (mut sending, parts, _client) = connection();
        let part = parts.stand_in(&file(b"contents"), 8, 4);

        let error = sending.write(&part).await.expect_err("no bytes");

        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    fn connection() -> (Sending<DuplexStream>, Parts, DuplexStream) {
        let ((near, far), parts) = (duplex(4096), Parts::default());
        (Sending::new(near, parts.clone()), parts, far)
    }

    fn file(contents: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(contents).expect("contents");
        Arc::new(file)
    }
}
