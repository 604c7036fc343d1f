//! Resource usage and quotas of tenants, and the log lines of their guests.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::error::ApiError;
use crate::api::extract::json_response;
use crate::api::http::query_parameters::QueryParameters;
use crate::api::state::ApiState;
use crate::tenant::{LogEntry, Resource, Tenant, UNLIMITED};

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        route::get("/v2/usage", Access::Key, usage).describe(Operation {
            id: "usage",
            tag: "tenant",
            summary: "What the tenant holds, and what it may hold",
            response_body: "Usage",
            ..OPERATION
        }),
        route::get("/v2/logs", Access::Manage, logs).describe(Operation {
            id: "logs",
            tag: "tenant",
            summary: "The last lines that the tenant's models have written",
            query: &["model"],
            response_body: "Logs",
            ..OPERATION
        }),
        route::get("/v2/tenants", Access::Admin, tenants).describe(Operation {
            id: "list_tenants",
            tag: "tenant",
            summary: "Every tenant's use",
            response_body: "Tenants",
            ..OPERATION
        }),
    ]
}

/// `GET /v2/usage`: usage of the caller's tenant.
async fn usage(caller: Caller) -> Result<Response, ApiError> {
    Ok(json_response(&usage_json(caller.tenant()?)))
}

/// `GET /v2/tenants`: usage of all tenants, and current faults of the tenant configuration and of
/// their repositories.
async fn tenants(State(state): State<Arc<ApiState>>) -> Response {
    let all = state.tenants.all();
    let tenants: Vec<_> = all.iter().map(|tenant| usage_json(tenant)).collect();

    let degraded = all.iter().filter_map(|tenant| {
        let degraded =
            state.manager.degraded(tenant.name()).filter(|degraded| degraded.needs_operator)?;
        Some(format!("tenant '{}': {}", tenant.name(), degraded.detail))
    });

    let faults: Vec<_> = state.tenancy_faults.list().iter().cloned().chain(degraded).collect();

    json_response(&json!({ "tenants": tenants, "faults": faults }))
}

/// `GET /v2/logs[?model=m]`: the most recent log lines of the tenant's guests, oldest first.
async fn logs(caller: Caller, query: QueryParameters) -> Result<Response, ApiError> {
    let model = query.text("model")?;
    let log = caller.tenant()?.log();
    let wanted =
        |entry: &&LogEntry| model.as_ref().is_none_or(|model| entry.model.as_str() == model);
    let lines: Vec<_> = log.recent().iter().filter(wanted).map(log_line_json).collect();

    Ok(json_response(&json!({ "lines": lines, "dropped": log.dropped() })))
}

pub(super) fn usage_json(tenant: &Tenant) -> Value {
    let settings = tenant.settings();
    let quota = &settings.quota;
    let mut resources = serde_json::Map::new();

    for resource in Resource::ALL {
        resources.insert(
            resource.name().into(),
            used_of_limit(tenant.used(resource), quota.limit(resource)),
        );
    }

    resources.insert("instances".into(), used_of_limit(tenant.instances(), quota.instances));
    resources.insert(
        "requests_per_second".into(),
        json!({ "limit": limit_json(quota.requests_per_second) }),
    );
    resources.insert("artifact_size".into(), json!({ "limit": limit_json(quota.artifact_size) }));

    json!({
        "tenant": tenant.name().as_str(),
        "weight": settings.weight,
        "cpu_seconds": tenant.account().used() as f64 / 1e9,
        "refused": tenant.refused(),
        "quota": resources,
    })
}

fn used_of_limit(used: u64, limit: u64) -> Value {
    json!({ "used": used, "limit": limit_json(limit) })
}

/// Returns `None` for an unlimited resource.
fn limit_json(limit: u64) -> Option<u64> {
    (limit != UNLIMITED).then_some(limit)
}

fn log_line_json(entry: &LogEntry) -> Value {
    let time = entry.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "time_ms": time.as_millis() as u64,
        "model": entry.model.as_str(),
        "version": entry.version.number(),
        "request_id": entry.request_id,
        "level": entry.level,
        "context": entry.context,
        "message": entry.message,
    })
}
