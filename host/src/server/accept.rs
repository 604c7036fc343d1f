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
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Listeners;
use super::accept_queue::AcceptQueue;
use super::connection_io::ConnectionIo;
use super::connections::{ConnectionGuard, Connections, LimitReached};
use super::eviction::Demand;
use super::http_meter::{HttpMeter, HttpPacer};
use super::metrics::CloseReason;
use super::peer::Peer;
use super::protocol;
use super::sending_body::SendingBody;
use super::timeouts::ConnectionTimeouts;
use crate::api::{Api, Connection, GuardedBody};
use crate::config::HttpConfig;

/// Accepts connections, and serves at most as many at the same time as are configured.
pub(super) struct Acceptor<'s> {
    pub(super) api: &'s Api,
    pub(super) config: &'s HttpConfig,
    pub(super) connections: &'s Connections,
    pub(super) pacer: &'s HttpPacer,
    /// Waits at shutdown for the connections to end.
    pub(super) graceful: &'s GracefulShutdown,
    /// Closed once nothing is accepted any more.
    pub(super) accepting: watch::Receiver<()>,
}

/// The pause before another attempt to evict a connection, or to accept one after an error.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The bytes that a connection may buffer: requests that are not parsed yet, and response parts
/// that are not sent yet. It bounds the longest request head.
const MAX_BUFFERED: usize = 64 << 10;

impl Acceptor<'_> {
    /// Accepts and serves, without end. `queue` holds the connections that wait for others to end.
    pub(super) async fn run(&self, listeners: &Listeners, mut queue: AcceptQueue<TcpStream>) {
        let mut closing = false;
        loop {
            tokio::select! {
                // No connection is accepted while others are about to end: it would only displace
                // one that waits.
                accepted = listeners.accept(), if !closing => match accepted {
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
        let served = ServedConnection {
            api: self.api.clone(),
            connection: connection.clone(),
            timeouts: timeouts.clone(),
            meter: meter.clone(),
        };

        let serving = meter.measure(served.serve(io, self.graceful.watcher()));
        let metrics = self.connections.metrics().clone();
        let mut accepting = self.accepting.clone();

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
                () = stopped_before_protocol(&mut accepting, &timeouts) => {}
            }
        });
    }
}

/// Resolves if the server stops before the client has said which protocol it speaks.
async fn stopped_before_protocol(
    accepting: &mut watch::Receiver<()>,
    timeouts: &ConnectionTimeouts,
) {
    // It fails once nothing is accepted any more.
    while accepting.changed().await.is_ok() {}
    if timeouts.has_protocol() {
        std::future::pending::<()>().await;
    }
}

/// A connection that is being served.
#[derive(Clone)]
struct ServedConnection {
    api: Api,
    connection: Connection,
    timeouts: ConnectionTimeouts,
    meter: HttpMeter,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl ServedConnection {
    /// Serves requests until the connection ends.
    async fn serve(self, mut io: ConnectionIo, watcher: Watcher) -> Result<(), BoxError> {
        let is_http2 = protocol::is_http2(&mut io).await?;
        self.timeouts.on_protocol(is_http2);
        let io = TokioIo::new(io);

        if is_http2 {
            self.connection.set_http2();
            let builder = protocol::http2_builder(self.meter.clone());
            let service = service_fn(move |request| {
                let served = self.clone();
                async move { Ok::<_, Infallible>(served.respond_http2(request).await) }
            });
            watcher.watch(builder.serve_connection(io, service)).await?;
            return Ok(());
        }

        // hyper has one timeout for heads and for the pause between requests; here they are two.
        let mut builder = http1::Builder::new();
        builder.header_read_timeout(None).max_buf_size(MAX_BUFFERED);
        let service = service_fn(move |request| {
            let served = self.clone();
            async move { Ok::<_, Infallible>(served.respond(request).await) }
        });
        watcher.watch(builder.serve_connection(io, service)).await?;
        Ok(())
    }

    /// Answers a request of HTTP/1.1.
    async fn respond(
        self,
        request: Request<Incoming>,
    ) -> hyper::Response<GuardedBody<RequestGuard>> {
        let pipelined = self.timeouts.on_request();
        let guard = RequestGuard { served: self.clone(), is_http2: false };

        if pipelined {
            // hyper would answer many pipelined requests before other connections get their
            // turn, and before it reads again.
            tokio::task::yield_now().await;
        }
        if let Some(wait) = self.meter.wait() {
            self.timeouts.on_paced();
            wait.await;
            self.timeouts.on_resumed();
        }

        let response: Response = self.api.serve(request.map(Body::new), self.connection).await;
        response.map(|body| GuardedBody::until_taken(body, guard))
    }

    /// Answers one of the requests that a client of HTTP/2 sends at the same time.
    async fn respond_http2(
        mut self,
        request: Request<Incoming>,
    ) -> hyper::Response<SendingBody<GuardedBody<RequestGuard>>> {
        self.connection = self.connection.for_request();
        self.timeouts.on_request();
        let guard = RequestGuard { served: self.clone(), is_http2: true };

        if let Some(wait) = self.meter.wait() {
            wait.await;
        }

        let response: Response = self.api.serve(request.map(Body::new), self.connection).await;
        let timeouts = self.timeouts;
        response.map(|body| SendingBody::new(GuardedBody::until_taken(body, guard), timeouts))
    }
}

/// Reports on drop that hyper has taken all of a response body, or that the request was cancelled.
struct RequestGuard {
    served: ServedConnection,
    is_http2: bool,
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let ServedConnection { connection, timeouts, meter, .. } = &self.served;
        timeouts.on_response();
        match self.is_http2 {
            true => meter.settle_one_of_several(connection.take_guest_call()),
            false => meter.settle(),
        }
    }
}
