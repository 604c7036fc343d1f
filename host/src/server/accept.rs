//! Accepting connections, and serving each.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use hyper::Request;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};

use super::accept_queue::AcceptQueue;
use super::connection_io::ConnectionIo;
use super::connections::{ConnectionGuard, Connections, LimitReached};
use super::eviction::Peer;
use super::metrics::CloseReason;
use super::timeouts::ConnectionTimeouts;
use crate::api::{Api, Connection};
use crate::config::HttpConfig;

/// Accepts connections for ever, and serves as many at the same time as there may be.
pub(super) struct Acceptor<'s> {
    pub(super) api: &'s Api,
    pub(super) config: &'s HttpConfig,
    pub(super) connections: &'s Connections,
    /// Where they are watched for their end.
    pub(super) graceful: &'s GracefulShutdown,
}

/// How long to wait before it is tried again to make room, or to accept a connection after that has
/// failed.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// What a connection may hold of requests that have not been looked at, and of answers in parts
/// that have not been sent; so the longest head as well.
const MAX_BUFFERED: usize = 64 << 10;

impl Acceptor<'_> {
    /// Accepts and serves. `lobby` is where connections wait for others to end.
    pub(super) async fn run(&self, listener: &TcpListener, mut lobby: AcceptQueue<TcpStream>) {
        let mut closing = false;
        loop {
            tokio::select! {
                // While room is being made for those that wait, nobody has to be turned away for
                // others.
                accepted = listener.accept(), if !closing => match accepted {
                    Ok((socket, address)) => self.enqueue(&mut lobby, socket, address.ip().into()),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        // Out of memory or of file descriptors, as a rule; trying again at once
                        // would only spin.
                        self.connections.evict(LimitReached::Total, 1);
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                },
                () = self.connections.freed(), if !lobby.is_empty() => {}
                () = tokio::time::sleep(RETRY_PAUSE), if !lobby.is_empty() => {}
            }
            closing = self.admit(&mut lobby);
        }
    }

    fn enqueue(&self, lobby: &mut AcceptQueue<TcpStream>, socket: TcpStream, peer: Peer) {
        let turned_away =
            lobby.push(peer, socket, |lobby| self.connections.count_per_peer(lobby.peers()));
        if turned_away {
            self.connections.metrics().closed(CloseReason::Refused);
        }
    }

    /// Serves those that wait, as far as there is room. Tells whether connections are about to end
    /// for the others.
    fn admit(&self, lobby: &mut AcceptQueue<TcpStream>) -> bool {
        while let Some((peer, socket)) = lobby.pop(&self.connections.count_per_peer(lobby.peers()))
        {
            let (itself, clock) = (Connection::default(), ConnectionTimeouts::new(self.config));
            let others = lobby.peers().any(|other| other != peer);
            match self.connections.open(peer, others, &clock, &itself) {
                Ok(seat) => self.serve(socket, itself, clock, seat),
                Err(full) => {
                    lobby.push_front(peer, socket);
                    return self.connections.evict(full, lobby.len());
                }
            }
        }
        false
    }

    /// Serves one connection in a task of its own, until it ends, its client takes too long or it
    /// has to make room.
    fn serve(
        &self,
        socket: TcpStream,
        itself: Connection,
        clock: ConnectionTimeouts,
        seat: ConnectionGuard,
    ) {
        let stream = TokioIo::new(ConnectionIo::new(socket, clock.clone(), itself.clone()));
        // hyper has one time limit for heads and for the pause between requests; the clock has two.
        let mut http = http1::Builder::new();
        let http = http.header_read_timeout(None).max_buf_size(MAX_BUFFERED);
        let service = service(self.api, itself.clone(), clock.clone());
        let serving = self.graceful.watch(http.serve_connection(stream, service));
        let metrics = self.connections.metrics().clone();
        tokio::spawn(async move {
            tokio::select! {
                ended = serving => if let Err(error) = ended {
                    // A client that goes away or talks nonsense is no news.
                    tracing::debug!(%error, "a connection ended");
                },
                () = itself.hang_up_requested() => {
                    metrics.closed(CloseReason::Timeout);
                    tracing::debug!("a connection whose client does not read was cut");
                }
                () = clock.expired() => {
                    metrics.closed(CloseReason::Timeout);
                    tracing::debug!("a connection whose client took too long was closed");
                }
                () = seat.evicted() => {
                    metrics.closed(CloseReason::Evicted);
                    tracing::debug!("a connection that did no work was closed to make room");
                }
            }
        });
    }
}

fn service(
    api: &Api,
    connection: Connection,
    clock: ConnectionTimeouts,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = hyper::Response<TrackedBody>,
    Error = Infallible,
    Future = impl Future<Output = Result<hyper::Response<TrackedBody>, Infallible>> + Send + use<>,
> + use<> {
    let api = api.clone();
    service_fn(move |request: Request<Incoming>| {
        let (api, connection, clock) = (api.clone(), connection.clone(), clock.clone());
        let pipelined = clock.on_request();
        async move {
            if pipelined {
                // hyper would answer many of them before others have their turn, and before
                // anything else is read.
                tokio::task::yield_now().await;
            }
            let response: Response = api.serve(request.map(Body::new), connection).await;
            Ok(response.map(|body| TrackedBody { body, clock }))
        }
    })
}

/// A response's body, which tells the clock when it has been handed over.
struct TrackedBody {
    body: Body,
    clock: ConnectionTimeouts,
}

impl HttpBody for TrackedBody {
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

impl Drop for TrackedBody {
    fn drop(&mut self) {
        self.clock.on_response();
    }
}
