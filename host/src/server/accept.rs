//! Accepting connections, and serving each.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::clock::Clock;
use super::stream::Stream;
use crate::api::{Api, Connection};
use crate::config::HttpConfig;

/// Accepts connections for ever.
pub(super) async fn accept(listener: &TcpListener, api: &Api, config: &HttpConfig, connections: &GracefulShutdown) {
    let permits = Arc::new(Semaphore::new(config.max_connections as usize));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, _peer)) => serve(socket, api, config, connections, permit),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // Out of file descriptors, as a rule; trying again at once would only spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Serves one connection in a task of its own, until it ends or its client takes too long.
fn serve(
    socket: TcpStream,
    api: &Api,
    config: &HttpConfig,
    connections: &GracefulShutdown,
    permit: OwnedSemaphorePermit,
) {
    let (itself, clock) = (Connection::default(), Clock::start(config));
    let stream = TokioIo::new(Stream::new(socket, clock.clone(), itself.clone()));
    // hyper has one time limit for heads and for the pause between requests; the clock has two.
    let mut http = http1::Builder::new();
    let http = http.header_read_timeout(None);
    let serving = connections.watch(http.serve_connection(stream, service(api, itself.clone(), clock.clone())));
    tokio::spawn(async move {
        let _permit = permit;
        tokio::select! {
            ended = serving => if let Err(error) = ended {
                // A client that goes away or talks nonsense is no news.
                tracing::debug!(%error, "a connection ended");
            },
            () = itself.ended() => tracing::debug!("a connection whose client does not read was cut"),
            () = clock.expired() => tracing::debug!("a connection whose client took too long was closed"),
        }
    });
}

fn service(
    api: &Api,
    connection: Connection,
    clock: Clock,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = hyper::Response<Sent>,
    Error = Infallible,
    Future = impl Future<Output = Result<hyper::Response<Sent>, Infallible>> + Send + use<>,
> + use<> {
    let api = api.clone();
    service_fn(move |request: Request<Incoming>| {
        let (api, connection, clock) = (api.clone(), connection.clone(), clock.clone());
        clock.work();
        async move {
            let response: Response = api.serve(request.map(Body::new), connection).await;
            Ok(response.map(|body| Sent { body, clock }))
        }
    })
}

/// A response's body, which tells the clock when it has been handed over.
struct Sent {
    body: Body,
    clock: Clock,
}

impl HttpBody for Sent {
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

impl Drop for Sent {
    fn drop(&mut self) {
        self.clock.answered();
    }
}
