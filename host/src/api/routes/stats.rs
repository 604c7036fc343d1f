//! `GET …/stats`: the protocol's statistics extension.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::error::ApiError;
use crate::api::extract::{ModelPath, json_response};
use crate::api::http::offload;
use crate::api::openapi::errors;
use crate::api::state::ApiState;
use crate::servable::{BatchTotals, Servable, Total};
use crate::tenant::Pacer;

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        route::get("/v2/models/stats", Access::Key, all_stats).describe(Operation {
            id: "all_statistics",
            tag: "models",
            summary: "What every model has done since it went live",
            response_body: "Statistics",
            ..OPERATION
        }),
        route::get("/v2/models/{model}/stats", Access::Key, model_stats).describe(Operation {
            id: "model_statistics",
            tag: "models",
            summary: "What a model's versions have done since they went live",
            response_body: "Statistics",
            errors: errors::MODEL,
            ..OPERATION
        }),
        route::get("/v2/models/{model}/versions/{version}/stats", Access::Key, model_stats)
            .describe(Operation {
                id: "version_statistics",
                tag: "models",
                summary: "What a version has done since it went live",
                response_body: "Statistics",
                errors: errors::MODEL,
                ..OPERATION
            }),
    ]
}

/// Approximate size of a version's statistics in bytes.
const BYTES_PER_VERSION: usize = 1024;

/// `GET /v2/models/{m}[/versions/{v}]/stats`.
async fn model_stats(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
) -> Result<Response, ApiError> {
    let found = path.find(&state, &caller)?;
    let versions = match path.version {
        Some(_) => vec![found],
        None => state.dataplane.servables(caller.tenant_name()?, &path.model),
    };

    Ok(statistics_response(versions.iter().map(|version| statistics_json(version))))
}

/// `GET /v2/models/stats`: statistics of all serving models.
async fn all_stats(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
) -> Result<Response, ApiError> {
    let tenant = caller.tenant_name()?;
    let models = state.dataplane.models(tenant).into_iter();
    let versions: Vec<_> =
        models.flat_map(|name| state.dataplane.servables(tenant, name.as_str())).collect();
    let bytes = versions.len() * BYTES_PER_VERSION;
    let write = move |_: &Pacer| {
        statistics_response(versions.iter().map(|version| statistics_json(version)))
    };

    Ok(offload::run(&state.workers, Some(caller.tenant()?), bytes, write).await?)
}

fn statistics_response(versions: impl Iterator<Item = Value>) -> Response {
    json_response(&json!({ "model_stats": versions.collect::<Vec<_>>() }))
}

fn statistics_json(version: &Servable) -> Value {
    let counted = version.statistics();
    let nothing = Total::default();

    json!({
        "name": version.id().name.as_str(),
        "version": version.id().version.number().to_string(),
        "last_inference": counted.last_request,
        "inference_count": counted.rows,
        "execution_count": counted.calls,
        "inference_stats": {
            "success": total_json(counted.success),
            "fail": total_json(counted.failure),
            "queue": total_json(counted.queue),
            // Instance creation. The protocol has no better field for it.
            "compute_input": total_json(counted.instance),
            "compute_infer": total_json(counted.compute),
            "compute_output": total_json(Total { count: counted.success.count, ..nothing }),
            "cache_hit": total_json(nothing),
            "cache_miss": total_json(nothing),
        },
        "batch_stats": counted.batches.iter().map(batch_json).collect::<Vec<_>>(),
        "memory_usage": [],
    })
}

/// Statistics of the calls with one batch size.
fn batch_json((rows, totals): &(u64, BatchTotals)) -> Value {
    json!({
        "batch_size": rows,
        "compute_input": total_json(totals.instance),
        "compute_infer": total_json(totals.compute),
        "compute_output": total_json(Total { count: totals.compute.count, ..Total::default() }),
    })
}

fn total_json(total: Total) -> Value {
    json!({ "count": total.count, "ns": total.time.as_nanos() as u64 })
}
