//! `GET …/stats`: the protocol's statistics extension.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;
use super::infer::offload;
use super::router::{ModelPath, json_response};
use crate::servable::{Executions, Servable, Total};
use crate::tenant::Pace;

/// Approximate size of a version's statistics in bytes.
const STATISTICS: usize = 1024;

/// `GET /v2/models/{m}[/versions/{v}]/stats`.
pub(super) async fn model(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
) -> Result<Response, ApiError> {
    let found = path.find(&state, &caller)?;
    let versions = match path.version {
        Some(_) => vec![found],
        None => state.dataplane.serving(caller.tenant_name()?, &path.model),
    };

    Ok(respond(versions.iter().map(|version| statistics(version))))
}

/// `GET /v2/models/stats`: statistics of all serving models.
pub(super) async fn all(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
) -> Result<Response, ApiError> {
    let tenant = caller.tenant_name()?;
    let models = state.dataplane.models(tenant).into_iter();
    let versions: Vec<_> =
        models.flat_map(|name| state.dataplane.serving(tenant, name.as_str())).collect();
    let bytes = versions.len() * STATISTICS;
    let write = move |_: &Pace| respond(versions.iter().map(|version| statistics(version)));

    Ok(offload::run(&state.workers, Some(caller.tenant()?), bytes, write).await?)
}

fn respond(versions: impl Iterator<Item = Value>) -> Response {
    json_response(&json!({ "model_stats": versions.collect::<Vec<_>>() }))
}

fn statistics(version: &Servable) -> Value {
    let counted = version.statistics();
    let nothing = Total::default();

    json!({
        "name": version.id().name.as_str(),
        "version": version.id().version.number().to_string(),
        "last_inference": counted.last_request,
        "inference_count": counted.rows,
        "execution_count": counted.calls,
        "inference_stats": {
            "success": total(counted.success),
            "fail": total(counted.failure),
            "queue": total(counted.queue),
            // Instance creation. The protocol has no better field for it.
            "compute_input": total(counted.instance),
            "compute_infer": total(counted.compute),
            "compute_output": total(Total { count: counted.success.count, ..nothing }),
            "cache_hit": total(nothing),
            "cache_miss": total(nothing),
        },
        "batch_stats": counted.executions.iter().map(executions).collect::<Vec<_>>(),
        "memory_usage": [],
    })
}

/// Statistics of the calls with one batch size.
fn executions((rows, executions): &(u64, Executions)) -> Value {
    json!({
        "batch_size": rows,
        "compute_input": total(executions.instance),
        "compute_infer": total(executions.compute),
        "compute_output": total(Total { count: executions.compute.count, ..Total::default() }),
    })
}

fn total(total: Total) -> Value {
    json!({ "count": total.count, "ns": total.time.as_nanos() as u64 })
}
