//! The services that tonic serves: health and reflection.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use axum::response::Response;
use hyper::body::Frame;
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::server::Builder;
use tower::Service;

use super::health::HealthService;
use super::limits::{OpenStream, OpenStreams};
use super::status;
use crate::api::error::ApiError;
use crate::api::http::guarded_body::GuardedBody;
use crate::dataplane::DataPlane;
use crate::model::InferError;

/// `host/proto/inference.proto`, compiled.
const DESCRIPTION: &[u8] = include_bytes!("../../../proto/inference.bin");

/// The longest message of these services in bytes.
const MAX_MESSAGE: usize = 64 << 10;

/// The longest pause between two messages of a client of reflection.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Health, and both versions of reflection: tools are divided between them. Cheap to clone.
#[derive(Clone)]
pub(super) struct TonicServices {
    health: HealthServer<HealthService>,
    streams: OpenStreams,
}

impl TonicServices {
    pub(super) fn new(dataplane: &DataPlane, streams: OpenStreams) -> Self {
        let health = HealthService { dataplane: dataplane.clone(), streams: streams.clone() };
        let health = HealthServer::new(health).max_decoding_message_size(MAX_MESSAGE);
        TonicServices { health, streams }
    }

    /// Answers a call. Returns `None` if its service is not one of these.
    pub(super) async fn call(&self, request: Request<Body>) -> Option<Response> {
        let service = request.uri().path().trim_start_matches('/').split('/').next()?;

        match service {
            "grpc.health.v1.Health" => {
                let answered = self.health.clone().call(request).await;
                Some(answered.unwrap_or_else(|never| match never {}).map(Body::new))
            }
            "grpc.reflection.v1.ServerReflection" => {
                let service = describe().build_v1();
                Some(self.reflect(service, request).await)
            }
            "grpc.reflection.v1alpha.ServerReflection" => {
                let service = describe().build_v1alpha();
                Some(self.reflect(service, request).await)
            }
            _ => None,
        }
    }

    async fn reflect<S>(
        &self,
        service: Result<S, tonic_reflection::server::Error>,
        request: Request<Body>,
    ) -> Response
    where
        S: Service<
                Request<Body>,
                Response = axum::http::Response<tonic::body::Body>,
                Error = std::convert::Infallible,
            >,
    {
        let mut service = match service {
            Ok(service) => service,
            Err(error) => {
                return status::failed(&ApiError::from(InferError::Internal(error.to_string())));
            }
        };

        let open = match self.streams.open() {
            Ok(open) => open,
            Err(refusal) => return refusal.into_http::<Body>(),
        };

        let request = request.map(|body| Body::new(PausedBody::new(body)));
        let answered = service.call(request).await.unwrap_or_else(|never| match never {});
        answered
            .map(|body| Body::new(GuardedBody::<OpenStream>::until_taken(Body::new(body), open)))
    }
}

/// The services that reflection describes.
fn describe<'b>() -> Builder<'b> {
    Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTION)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// A body whose client pauses for a bounded time.
struct PausedBody {
    body: Body,
    timer: Pin<Box<Sleep>>,
}

impl PausedBody {
    fn new(body: Body) -> Self {
        PausedBody { body, timer: Box::pin(tokio::time::sleep(MAX_PAUSE)) }
    }
}

impl HttpBody for PausedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                self.timer.as_mut().reset(Instant::now() + MAX_PAUSE);
                let broken = |_| Status::cancelled("the client has ended the call");
                Poll::Ready(frame.map(|frame| frame.map_err(broken)))
            }
            Poll::Pending => {
                self.timer.as_mut().poll(context).map(|()| {
                    Some(Err(Status::deadline_exceeded("the client paused for too long")))
                })
            }
        }
    }
}
