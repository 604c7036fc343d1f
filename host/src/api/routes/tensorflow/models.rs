//! `GET /v1/models` and `GET /v1/models/{m}`, which belong to three protocols: each answer has the
//! keys of KServe, of OpenAI and of TensorFlow Serving. Errors are OpenAI's objects.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use super::status::{VersionStatus, statuses};
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{ModelPath, json_response};
use crate::api::http::offload;
use crate::api::state::ApiState;
use crate::servable::ServableHandle;
use crate::tenant::Pacer;

/// Approximate size of an entry without the model's name, in bytes.
const BYTES_PER_ENTRY: usize = 128;

/// `GET /v1/models`: the models that serve.
pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
) -> Result<Response, ApiError> {
    let tenant = caller.tenant()?;
    let names = state.dataplane.models(tenant.name());
    let newest = |name: &str| state.dataplane.servables(tenant.name(), name).into_iter().next();
    let serving: Vec<ServableHandle> =
        names.iter().filter_map(|name| newest(name.as_str())).collect();

    let bytes =
        serving.iter().map(|servable| BYTES_PER_ENTRY + servable.id().name.as_str().len()).sum();
    let write = move |_: &Pacer| {
        let names: Vec<_> = serving.iter().map(|servable| servable.id().name.as_str()).collect();
        let data: Vec<_> = serving.iter().map(Described::new).collect();
        json_response(&json!({ "object": "list", "data": data, "models": names }))
    };

    Ok(offload::run(&state.workers, Some(tenant), bytes, write).await?)
}

/// `GET /v1/models/{m}`.
pub(super) async fn model(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
) -> Result<Response, ApiError> {
    let statuses = statuses(&state, &caller, &path).await?;
    let newest = state.dataplane.servables(caller.tenant_name()?, &path.model).into_iter().next();
    let created = newest.as_deref().map_or(0, |servable| unix_seconds(servable.created()));

    Ok(json_response(&Model {
        described: Described { id: &path.model, object: "model", created, owned_by: OWNER },
        name: &path.model,
        ready: statuses.iter().any(VersionStatus::is_available),
        model_version_status: &statuses,
    }))
}

/// The owner of every model, for OpenAI's clients.
const OWNER: &str = "wardian";

/// The keys of OpenAI.
#[derive(Serialize)]
struct Described<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

impl<'a> Described<'a> {
    fn new(servable: &'a ServableHandle) -> Self {
        let created = unix_seconds(servable.created());
        Described { id: servable.id().name.as_str(), object: "model", created, owned_by: OWNER }
    }
}

#[derive(Serialize)]
struct Model<'a> {
    #[serde(flatten)]
    described: Described<'a>,
    name: &'a str,
    ready: bool,
    model_version_status: &'a [VersionStatus],
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
