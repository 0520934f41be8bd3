//! Connections: how many there may be, and how long they may do nothing.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::client::Client;
use super::delivery::{Deliveries, Delivering};
use super::door::{self, Door};
use super::patience::Patience;
use super::sendfile::{Outlet, Parts, Sending};
use super::silent::{Question, Silent, Visitor};
use crate::crowd::Crowd;
use crate::pulse::Pulse;

/// How many connections there may be: a rack that boots at once has one or two for each machine.
const CONNECTIONS: usize = 1024;

/// How many of them one address may have. Machines behind a translator share one.
const CONNECTIONS_PER_CLIENT: usize = 256;

/// How long the head of a request may take, and a connection be kept open for the next.
const HEAD_LIMIT: Duration = Duration::from_secs(30);

/// How long a client may take nothing of an answer: an installer that waits for its disk reads on within this.
const STALL_LIMIT: Duration = Duration::from_secs(120);

/// How long answers may take to arrive once the server is to stop.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// How long to leave a system alone that is out of file descriptors.
const REST: Duration = Duration::from_millis(100);

/// The largest head of a request.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Serves until the token is cancelled.
pub(super) async fn serve(
    listener: TcpListener,
    door: Door,
    router: Router,
    mut pulse: Pulse,
    shutdown: CancellationToken,
) {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let (crowd, silent) = (Crowd::new(CONNECTIONS_PER_CLIENT), Silent::default());
    let service = TowerToHyperService::new(router);
    loop {
        let accept = async {
            if places.available_permits() == 0 {
                silent.dismiss_one();
            }
            let place = places.clone().acquire_owned().await.expect("nobody closes the semaphore");
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = shutdown.cancelled() => break,
            () = pulse.answer() => continue,
            accepted = accept => accepted,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "accepting HTTP connections");
                sleep(REST).await;
                continue;
            }
        };
        let Some(member) = crowd.join(client.ip()) else {
            debug!(%client, "refused: this address has too many connections");
            continue;
        };
        // Or the end of an answer waits until the client has acknowledged what came before: 40 ms at each small file.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%client, %error, "gone");
            continue;
        }
        let (door, service, shutdown, visitor) = (door.clone(), service.clone(), shutdown.clone(), silent.join());
        connections.spawn(async move {
            let _held = (place, member);
            let dismissed = visitor.dismissed();
            tokio::select! {
                () = dismissed => debug!(%client, "gave its place to another, having nothing to ask"),
                () = enter(door, stream, Client(client), visitor, service, shutdown) => {}
            }
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Has a client in, and answers it.
async fn enter(
    door: Door,
    stream: TcpStream,
    client: Client,
    visitor: Visitor,
    service: TowerToHyperService<Router>,
    shutdown: CancellationToken,
) {
    match door {
        Door::Plain => converse(stream, client, visitor, service, shutdown).await,
        // In memory of its own, so that it costs nothing where there is no TLS.
        Door::Tls(identity) => {
            let conversation = Box::pin(async {
                let handshake = timeout(HEAD_LIMIT, door::shake_hands(stream, &identity));
                match shutdown.run_until_cancelled(handshake).await {
                    Some(Ok(Ok(stream))) => converse(stream, client, visitor, service, shutdown.clone()).await,
                    Some(Ok(Err(error))) => debug!(client = %client.0, %error, "no TLS"),
                    Some(Err(_)) => debug!(client = %client.0, "no TLS in time"),
                    None => {}
                }
            });
            conversation.await;
        }
    }
}

/// Answers one request after the other.
pub(super) async fn converse<S: Outlet>(
    stream: S,
    client: Client,
    visitor: Visitor,
    service: TowerToHyperService<Router>,
    shutdown: CancellationToken,
) {
    let (deliveries, parts) = (Deliveries::default(), Parts::default());
    let stream = Patience::new(Sending::new(stream, parts.clone()), STALL_LIMIT);
    let stream = Delivering::new(stream, deliveries.clone(), visitor.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        let question = visitor.ask();
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(deliveries.clone());
        request.extensions_mut().insert(parts.clone());
        let answer = service.call(request);
        async { answer.await.map(|answer| answer.map(|body| Answer { body, _question: question })) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_HEAD_BYTES)
        // Bodies are queued as they are: a copy of what stands for a file would be worthless.
        .writev(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(STOP_LIMIT, connection).await.ok()
        }
    };
    if let Some(Err(error)) = ended {
        debug!(client = %client.0, %error, "connection ended");
    }
}

/// The body of an answer: while it is written, its question is open.
struct Answer {
    body: Body,
    _question: Question,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
