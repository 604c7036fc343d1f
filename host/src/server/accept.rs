//! Accepts connections, and serves each in a task of its own.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
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
use crate::api::{Api, Connection, Conversation, GuardedBody};
use crate::box_future::box_future;
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
        let served = Arc::new(ServedConnection {
            api: self.api.clone(),
            connection: connection.clone(),
            timeouts: timeouts.clone(),
            meter: meter.clone(),
        });

        let stopped = stopped(self.accepting.clone());
        let serving = meter.measure(served.serve(io, self.graceful.watcher(), stopped));
        let metrics = self.connections.metrics().clone();
        let accepting = self.accepting.clone();

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
                () = stopped_before_protocol(accepting, &timeouts) => {}
            }
        });
    }
}

/// Resolves if the server stops before the client has said which protocol it speaks.
async fn stopped_before_protocol(accepting: watch::Receiver<()>, timeouts: &ConnectionTimeouts) {
    stopped(accepting).await;
    if timeouts.has_protocol() {
        std::future::pending::<()>().await;
    }
}

/// Resolves once nothing is accepted any more.
async fn stopped(mut accepting: watch::Receiver<()>) {
    // It fails then.
    while accepting.changed().await.is_ok() {}
}

/// A connection that is being served.
struct ServedConnection {
    api: Api,
    connection: Connection,
    timeouts: ConnectionTimeouts,
    meter: HttpMeter,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl ServedConnection {
    /// Serves requests until the connection ends. After `stopped` it ends with the present one.
    async fn serve(
        self: Arc<Self>,
        mut io: ConnectionIo,
        watcher: Watcher,
        stopped: impl Future<Output = ()>,
    ) -> Result<(), BoxError> {
        let is_http2 = protocol::is_http2(&mut io).await?;
        self.timeouts.on_protocol(is_http2);
        let io = TokioIo::new(io);

        if is_http2 {
            self.connection.set_http2();
            let builder = protocol::http2_builder(self.meter.clone());
            let service = service_fn(move |request| {
                let served = self.clone();
                // Boxed, because hyper moves the future several times, and it is large.
                box_future(
                    || async move { Ok::<_, Infallible>(served.respond_http2(request).await) },
                )
            });
            watcher.watch(builder.serve_connection(io, service)).await?;
            return Ok(());
        }

        // hyper has one timeout for heads and for the pause between requests; here they are two.
        let mut builder = http1::Builder::new();
        builder.header_read_timeout(None).max_buf_size(MAX_BUFFERED);
        let served = self.clone();
        let service = service_fn(move |request| {
            let served = served.clone();
            // Boxed, because hyper moves the future, and it is large.
            box_future(|| async move { Ok::<_, Infallible>(served.respond(request).await) })
        });
        let mut serving = pin!(builder.serve_connection(io, service).with_upgrades());
        tokio::select! {
            biased;
            () = stopped => {
                serving.as_mut().graceful_shutdown();
                serving.as_mut().await?;
            }
            ended = serving.as_mut() => ended?,
        }

        if let Some(conversation) = self.connection.take_conversation() {
            self.converse(conversation).await;
        }
        // The server waits for the connection until here.
        drop(watcher);
        Ok(())
    }

    /// Serves a connection that has been upgraded until it ends.
    async fn converse(self: Arc<Self>, conversation: Conversation) {
        self.timeouts.on_upgraded();

        let connection = self.connection.clone();
        let on_answer = Box::new(move || {
            self.timeouts.on_resumed();
            self.meter.settle();
        });
        conversation(connection, on_answer).await;
    }

    /// Answers a request of HTTP/1.1.
    async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> hyper::Response<GuardedBody<RequestGuard>> {
        let pipelined = self.timeouts.on_request();
        let guard = RequestGuard { served: self.clone(), http2: None };

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

        let connection = self.connection.clone();
        let response: Response = self.api.serve(request.map(Body::new), connection).await;
        response.map(|body| GuardedBody::until_taken(body, guard))
    }

    /// Answers one of the requests that a client of HTTP/2 sends at the same time.
    async fn respond_http2(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> hyper::Response<SendingBody<GuardedBody<RequestGuard>>> {
        let connection = self.connection.for_request();
        self.timeouts.on_request();
        let guard = RequestGuard { served: self.clone(), http2: Some(connection.clone()) };

        if let Some(wait) = self.meter.wait() {
            wait.await;
        }

        let response: Response = self.api.serve(request.map(Body::new), connection).await;
        let timeouts = self.timeouts.clone();
        response.map(|body| SendingBody::new(GuardedBody::until_taken(body, guard), timeouts))
    }
}

/// Reports on drop that hyper has taken all of a response body, or that the request was cancelled.
struct RequestGuard {
    served: Arc<ServedConnection>,
    /// The request's view of its connection, if it is one of several of HTTP/2.
    http2: Option<Connection>,
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let ServedConnection { timeouts, meter, .. } = &*self.served;
        timeouts.on_response();
        match &self.http2 {
            Some(request) => meter.settle_one_of_several(request.take_guest_call()),
            None => meter.settle(),
        }
    }
}
