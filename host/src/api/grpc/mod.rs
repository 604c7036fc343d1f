//! gRPC: the Open Inference Protocol's `GRPCInferenceService`, health and reflection.
//!
//! Inference passes the same steps as by HTTP, with protocol buffers as the wire format: `infer`
//! and `stream` read messages from the body (`frames`), find the model that a message names before
//! all of it has arrived (`target`), and go on in `unary` and `generate`. `routes` turns the other
//! calls into requests to the HTTP routes. `status` maps every error of the interface to a code.
//!
//! A connection is served by hyper, as for HTTP. Of tonic, this module uses the statuses, and the
//! services of health and reflection.

mod frames;
mod head;
mod health;
mod infer;
mod limits;
mod messages;
mod reflection;
mod request;
mod response;
mod routes;
mod status;
mod stream;
mod target;
mod wire;

#[cfg(fuzzing)]
pub(super) mod fuzzing;

#[cfg(test)]
mod codec_tests;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::Response;

use self::limits::OpenStreams;
use self::routes::{Call, Routes};
use super::context::RequestContext;
use super::error::ApiError;
use super::state::ApiState;

pub(super) use self::head::is_call;
use self::reflection::TonicServices;
pub(super) use self::status::failed;

/// The name of the inference service.
const INFERENCE: &str = "inference.GRPCInferenceService";

/// The services of gRPC. Cheap to clone.
#[derive(Clone)]
pub(super) struct Grpc {
    tonic: TonicServices,
}

impl Grpc {
    /// Creates the services. Fails only if their own description is broken.
    pub(super) fn new(state: &ApiState) -> Self {
        Grpc { tonic: TonicServices::new(&state.dataplane, OpenStreams::new()) }
    }

    /// Answers a call.
    pub(super) async fn handle(
        &self,
        state: &ApiState,
        router: &Router,
        context: &RequestContext,
        request: Request<Body>,
    ) -> Response {
        if request.method() != Method::POST {
            return status::failed(&ApiError::unsupported("a call is a POST"));
        }

        let path = request.uri().path();
        let Some(name) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
            return unknown(path);
        };

        let call = match name {
            (INFERENCE, "ModelInfer") => return infer::handle(state, context, request).await,
            (INFERENCE, "ModelStreamInfer") => return stream::handle(state, context, request),
            (INFERENCE, "ServerLive") => Call::ServerLive,
            (INFERENCE, "ServerReady") => Call::ServerReady,
            (INFERENCE, "ModelReady") => Call::ModelReady,
            (INFERENCE, "ServerMetadata") => Call::ServerMetadata,
            (INFERENCE, "ModelMetadata") => Call::ModelMetadata,
            (INFERENCE, "ModelConfig") => Call::ModelConfig,
            (INFERENCE, "ModelStatistics") => Call::ModelStatistics,
            (INFERENCE, "RepositoryIndex") => Call::RepositoryIndex,
            (INFERENCE, "RepositoryModelLoad") => Call::ModelLoad,
            (INFERENCE, "RepositoryModelUnload") => Call::ModelUnload,
            (INFERENCE, _) => return unknown(path),
            _ => {
                let path = path.to_owned();
                let answer = self.tonic.call(request).await;
                return answer.unwrap_or_else(|| unknown(&path));
            }
        };

        Routes { state, router, context }.handle(call, request).await
    }
}

/// Returns the answer to a call of a method that does not exist.
fn unknown(path: &str) -> Response {
    let method = path.rsplit('/').next().unwrap_or_default();
    let extension = ["SystemSharedMemory", "CudaSharedMemory", "TraceSetting", "LogSettings"];

    let text = if extension.iter().any(|extension| method.starts_with(extension)) {
        "this server does not offer Triton's trace, log and shared memory extensions"
    } else {
        "there is no such method; reflection lists the services of this server"
    };
    status::failed(&ApiError::unsupported(text))
}
