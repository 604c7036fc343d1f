//! Accepts connections, and serves each in a task of its own.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};

use super::accept_queue::AcceptQueue;
use super::connection_io::ConnectionIo;
use super::connections::{ConnectionGuard, Connections, LimitReached};
use super::eviction::Demand;
use super::meter::{Meter, Pacer};
use super::metrics::CloseReason;
use super::peer::Peer;
use super::timeouts::ConnectionTimeouts;
use crate::api::{Api, Connection, GuardedBody};
use crate::config::HttpConfig;

/// Accepts connections, and serves at most as many at the same time as are configured.
pub(super) struct Acceptor<'s> {
    pub(super) api: &'s Api,
    pub(super) config: &'s HttpConfig,
    pub(super) connections: &'s Connections,
    pub(super) pacer: &'s Pacer,
    /// Waits at shutdown for the connections to end.
    pub(super) graceful: &'s GracefulShutdown,
}

/// The pause before another attempt to evict a connection, or to accept one after an error.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The bytes that a connection may buffer: requests that are not parsed yet, and response parts
/// that are not sent yet. It bounds the longest request head.
const MAX_BUFFERED: usize = 64 << 10;

impl Acceptor<'_> {
    /// Accepts and serves, without end. `queue` holds the connections that wait for others to end.
    pub(super) async fn run(&self, listener: &TcpListener, mut queue: AcceptQueue<TcpStream>) {
        let mut closing = false;
        loop {
            tokio::select! {
                // No connection is accepted while others are about to end: it would only displace
                // one that waits.
                accepted = listener.accept(), if !closing => match accepted {
                    Ok((socket, address)) => self.enqueue(&mut queue, socket, address.ip().into()),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        // Usually out of memory or file descriptors. Another attempt at once would
                        // only spin.
                        self.connections.evict(LimitReached::Total, &Demand::of_one());
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                },
                () = self.connections.closed(), if !queue.is_empty() => {}
                () = tokio::time::sleep(RETRY_PAUSE), if !queue.is_empty() => {}
            }
            closing = self.admit(&mut queue);
        }
    }

    fn enqueue(&self, queue: &mut AcceptQueue<TcpStream>, socket: TcpStream, peer: Peer) {
        let dropped =
            queue.push(peer, socket, |queue| self.connections.count_per_peer(queue.peers()));
        if dropped {
            self.connections.metrics().record_closed(CloseReason::Refused);
        }
    }

    /// Serves waiting connections as long as there is room. Returns true if connections are about
    /// to end for the others.
    fn admit(&self, queue: &mut AcceptQueue<TcpStream>) -> bool {
        while let Some((peer, socket)) = queue.pop(&self.connections.count_per_peer(queue.peers()))
        {
            let connection = Connection::default();
            let timeouts = ConnectionTimeouts::new(self.config);
            let others = queue.peers().any(|other| other != peer);
            match self.connections.open(peer, others, &timeouts, &connection) {
                Ok(guard) => self.serve(socket, peer, connection, timeouts, guard),
                Err(limit) => {
                    queue.push_front(peer, socket);
                    let held = self.connections.count_per_peer(queue.peers());
                    return self.connections.evict(limit, &queue.demand(&held));
                }
            }
        }
        false
    }

    /// Serves a connection until it ends, its client takes too long or it is evicted.
    fn serve(
        &self,
        socket: TcpStream,
        peer: Peer,
        connection: Connection,
        timeouts: ConnectionTimeouts,
        guard: ConnectionGuard,
    ) {
        let meter = self.pacer.meter(peer, connection.clone());
        let io = ConnectionIo::new(socket, timeouts.clone(), connection.clone(), meter.clone());
        // hyper has one timeout for heads and for the pause between requests; here they are two.
        let mut http = http1::Builder::new();
        let http = http.header_read_timeout(None).max_buf_size(MAX_BUFFERED);

        let service = service(self.api, connection.clone(), timeouts.clone(), meter.clone());
        let serving =
            meter.measure(self.graceful.watch(http.serve_connection(TokioIo::new(io), service)));
        let metrics = self.connections.metrics().clone();

        tokio::spawn(async move {
            tokio::select! {
                // A request that has arrived is served before the connection is closed.
                biased;
                ended = serving => if let Err(error) = ended {
                    // A client that disconnects or violates HTTP is no news.
                    tracing::debug!(%error, "a connection ended");
                },
                () = connection.hang_up_requested() => {
                    metrics.record_closed(CloseReason::Timeout);
                    tracing::debug!("a connection whose client does not read was cut");
                }
                () = timeouts.expired() => {
                    metrics.record_closed(CloseReason::Timeout);
                    tracing::debug!("a connection whose client took too long was closed");
                }
                () = guard.evicted() => {
                    metrics.record_closed(CloseReason::Evicted);
                    tracing::debug!("a connection that did no work was closed to make room");
                }
            }
        });
    }
}

fn service(
    api: &Api,
    connection: Connection,
    timeouts: ConnectionTimeouts,
    meter: Meter,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = hyper::Response<GuardedBody<ResponseGuard>>,
    Error = Infallible,
    Future = impl Future<Output = Result<hyper::Response<GuardedBody<ResponseGuard>>, Infallible>>
             + Send
             + use<>,
> + use<> {
    let api = api.clone();
    service_fn(move |request: Request<Incoming>| {
        let api = api.clone();
        let connection = connection.clone();
        let timeouts = timeouts.clone();
        let meter = meter.clone();

        let pipelined = timeouts.on_request();

        async move {
            if pipelined {
                // hyper would answer many pipelined requests before other connections get their
                // turn, and before it reads again.
                tokio::task::yield_now().await;
            }
            if let Some(wait) = meter.wait() {
                timeouts.on_paced();
                wait.await;
                timeouts.on_resumed();
            }

            let response: Response = api.serve(request.map(Body::new), connection).await;
            let guard = ResponseGuard { timeouts, meter };
            Ok(response.map(|body| GuardedBody::until_taken(body, guard)))
        }
    })
}

/// Reports on drop that hyper has taken all of a response body.
struct ResponseGuard {
    timeouts: ConnectionTimeouts,
    meter: Meter,
}

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        self.timeouts.on_response();
        self.meter.settle();
    }
}
