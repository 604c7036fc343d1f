//! `grpc.health.v1`: the readiness of the server, for probes, which send no key.

use std::pin::Pin;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::limits::{OpenStream, OpenStreams};
use crate::dataplane::DataPlane;

/// The pause between two looks at the state for `Watch`.
const PAUSE: Duration = Duration::from_millis(500);

/// The services whose state is that of the server.
const SERVICES: [&str; 2] = ["", super::INFERENCE];

/// Answers health checks.
pub(super) struct HealthService {
    pub(super) dataplane: DataPlane,
    pub(super) streams: OpenStreams,
}

/// A `Watch` that has sent its last status.
struct Watching {
    dataplane: DataPlane,
    service: String,
    sent: Option<ServingStatus>,
    _open: OpenStream,
}

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        match state(&self.dataplane, &service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found(
                "the services here are '' and inference.GRPCInferenceService",
            )),
            state => Ok(Response::new(message(state))),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watching = Watching {
            dataplane: self.dataplane.clone(),
            service: request.into_inner().service,
            sent: None,
            _open: self.streams.open()?,
        };

        let states = unfold(watching, async |mut watching: Watching| {
            watching.next().await.map(|state| (Ok(message(state)), watching))
        });

        Ok(Response::new(Box::pin(states)))
    }
}

impl Watching {
    /// Waits for a state that was not sent. Ends when the server stops, for which it waits.
    async fn next(&mut self) -> Option<ServingStatus> {
        loop {
            let state = state(&self.dataplane, &self.service);
            if self.sent != Some(state) {
                self.sent = Some(state);
                return Some(state);
            }
            if self.dataplane.is_stopping() {
                return None;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn state(dataplane: &DataPlane, service: &str) -> ServingStatus {
    match (SERVICES.contains(&service), dataplane.is_ready()) {
        (false, _) => ServingStatus::ServiceUnknown,
        (true, true) => ServingStatus::Serving,
        (true, false) => ServingStatus::NotServing,
    }
}

fn message(state: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: state.into() }
}
