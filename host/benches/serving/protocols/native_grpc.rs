//! The baseline of gRPC: tonic's server with a handler that runs the same trees. The service is
//! written as tonic's code generator writes it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::messages::{InferTensor, ModelInferRequest, ModelInferResponse};
use crate::native::{self, Trees};

/// Serves until the process is killed, at the latest with its parent.
pub(crate) fn serve() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;

    runtime.block_on(async {
        let service = InferenceService { trees: Arc::new(native::trees()?) };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Ok(Server::builder().add_service(service).serve_with_incoming(incoming).await?)
    })
}

/// `inference.GRPCInferenceService` with one method.
#[derive(Clone)]
struct InferenceService {
    trees: Arc<Trees>,
}

impl NamedService for InferenceService {
    const NAME: &'static str = "inference.GRPCInferenceService";
}

impl Service<http::Request<Body>> for InferenceService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != super::METHOD {
            let status = Status::unimplemented("there is no such method");
            return Box::pin(async move { Ok(status.into_http()) });
        }

        let method = ModelInfer(Arc::clone(&self.trees));
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(method, request).await) })
    }
}

/// `ModelInfer` with raw contents.
struct ModelInfer(Arc<Trees>);

impl UnaryService<ModelInferRequest> for ModelInfer {
    type Response = ModelInferResponse;
    type Future = BoxFuture<Response<ModelInferResponse>, Status>;

    fn call(&mut self, request: Request<ModelInferRequest>) -> Self::Future {
        let trees = Arc::clone(&self.0);
        Box::pin(async move { answer(&trees, request.into_inner()).map(Response::new) })
    }
}

fn answer(trees: &Trees, request: ModelInferRequest) -> Result<ModelInferResponse, Status> {
    let features = features(trees, &request).map_err(Status::invalid_argument)?;
    let prices: Vec<u8> = features
        .chunks_exact(trees.features())
        .flat_map(|row| trees.predict(row).to_le_bytes())
        .collect();

    let output = InferTensor {
        name: "price".into(),
        datatype: "FP64".into(),
        shape: vec![(features.len() / trees.features()) as i64, 1],
        parameters: BTreeMap::new(),
    };
    Ok(ModelInferResponse {
        model_name: request.model_name,
        model_version: "1".into(),
        id: request.id,
        parameters: BTreeMap::new(),
        outputs: vec![output],
        raw_output_contents: vec![Bytes::from(prices)],
    })
}

/// Returns the rows of a request, checked as Wardian and the model check them.
fn features(trees: &Trees, request: &ModelInferRequest) -> Result<Vec<f64>, &'static str> {
    let ([input], [raw]) = (&request.inputs[..], &request.raw_input_contents[..]) else {
        return Err("not one input with raw contents");
    };
    if request.model_name != "house-price" || input.name != "features" || input.datatype != "FP64" {
        return Err("not the input 'features' of FP64 for 'house-price'");
    }

    let (values, rest) = raw.as_chunks();
    let values: Vec<f64> = values.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    let [rows, features] = input.shape[..] else { return Err("not the shape [rows, 11]") };
    let length = usize::try_from(rows).ok().and_then(|rows| rows.checked_mul(trees.features()));
    if features != trees.features() as i64 || length != Some(values.len()) || !rest.is_empty() {
        return Err("not the shape [rows, 11]");
    }

    let finite = values.iter().all(|value| (*value as f32).is_finite());
    if finite { Ok(values) } else { Err("every feature must be a finite number") }
}
