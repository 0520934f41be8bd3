//! How clients come in: as they are, or by a TLS handshake.
//!
//! Everything behind it is the same for both. By TLS the parts of files that [`super::sendfile`] leaves to a connection are read from the page
//! cache and encrypted here, because sendfile(2) encrypts nothing.

use std::fs::File;
use std::io::{self, Error, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::sendfile::Outlet;
use crate::tls;

/// Whether there is a handshake first.
#[derive(Clone)]
pub(super) enum Door {
    /// There is none.
    Plain,
    /// There is, with the certificate that is at work then.
    Tls(tls::Watch),
}

/// The first byte of a TLS record with a handshake (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// As much as a TLS record carries (RFC 8446 §5.1): it is on the stack.
const RECORD: usize = 16 << 10;

/// What somebody hears who speaks plain HTTP where TLS is expected.
const NO_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\
    Content-Length: 37\r\n\r\nhere is TLS: the URL begins https://\n";

/// Does the server's part of a handshake.
///
/// # Errors
/// The client speaks something else, does not believe our certificate, or is gone.
pub(super) async fn shake_hands(mut stream: TcpStream, identity: &tls::Watch) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    if first[0].is_ascii_uppercase() {
        // What is not read would end the connection before its answer arrives.
        let _ = stream.read(&mut [0; 1024]).await?;
        stream.write_all(NO_TLS).await?;
        stream.shutdown().await?;
    }
    if first[0] != HANDSHAKE {
        return Err(Error::new(ErrorKind::InvalidData, "the client does not begin with a handshake"));
    }
    let config = identity.borrow().identity.config.clone();
    TlsAcceptor::from(config).accept(stream).await
}

impl Outlet for TlsStream<TcpStream> {
    fn poll_begin(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Pin::new(self).poll_write(context, bytes)
    }

    fn poll_send(&mut self, file: &File, at: u64, length: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut record = [0; RECORD];
        let read = file.read_at(&mut record[..length.min(RECORD)], at)?;
        if read == 0 { Poll::Ready(Ok(0)) } else { Pin::new(self).poll_write(context, &record[..read]) }
    }
}
