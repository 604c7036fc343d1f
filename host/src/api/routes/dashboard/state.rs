//! The state of a tenant's models, as the dashboard shows it.

use std::collections::BTreeMap;
use std::time::Instant;

use axum::body::Bytes;
use serde_json::{Value, json};

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::http::offload;
use crate::api::routes::repository::state_name;
use crate::api::routes::usage::usage_json;
use crate::api::state::ApiState;
use crate::lifecycle::IndexEntry;
use crate::model::InferError;
use crate::servable::{Servable, ServableHandle};
use crate::telemetry::{Percentiles, RequestSummary};
use crate::tenant::{KeyScope, Pacer};

/// Approximate size of a version in bytes.
const BYTES_PER_VERSION: usize = 512;

/// Returns the state of the caller's tenant as JSON. Fails if the caller has named no tenant.
pub(super) async fn read_state(state: &ApiState, caller: &Caller) -> Result<Bytes, ApiError> {
    let tenant = caller.tenant()?.clone();
    let entries = state.manager.index(tenant.name()).await;
    let serving =
        |entry: &IndexEntry| state.dataplane.servables(tenant.name(), entry.name.as_str());
    let models = by_model(&entries, serving);

    let scopes: Vec<_> =
        KeyScope::ALL.into_iter().filter(|scope| caller.may(*scope)).map(KeyScope::name).collect();
    let usage = usage_json(&tenant);
    let bytes = models.values().map(|model| model.entries.len() * BYTES_PER_VERSION).sum();

    let write = move |_: &Pacer| {
        let now = Instant::now();
        let models: Vec<_> = models.iter().map(|(name, model)| model.to_json(name, now)).collect();
        serde_json::to_vec(&json!({
            "server": env!("CARGO_PKG_VERSION"),
            "scopes": scopes,
            "usage": usage,
            "models": models,
        }))
    };

    let written = offload::run(&state.workers, Some(&tenant), bytes, write).await?;
    let json = written.map_err(|error| InferError::Internal(error.to_string()))?;

    Ok(json.into())
}

/// A model with its versions in the repository, and those that serve.
struct Model {
    entries: Vec<IndexEntry>,
    serving: Vec<ServableHandle>,
}

fn by_model(
    entries: &[IndexEntry],
    serving: impl Fn(&IndexEntry) -> Vec<ServableHandle>,
) -> BTreeMap<String, Model> {
    let mut models = BTreeMap::<String, Model>::new();

    for entry in entries {
        let name = entry.name.to_string();
        let model = models
            .entry(name)
            .or_insert_with(|| Model { serving: serving(entry), entries: Vec::new() });
        model.entries.push(entry.clone());
    }

    models
}

impl Model {
    fn to_json(&self, name: &str, now: Instant) -> Value {
        let newest = self.serving.first();
        let hour = newest.map(|version| version.history().hour(now));

        json!({
            "name": name,
            "versions": self.entries.iter().map(|entry| self.version_json(entry)).collect::<Vec<_>>(),
            "hour": hour.as_ref().map(summary_json),
        })
    }

    fn version_json(&self, entry: &IndexEntry) -> Value {
        let serving = self.serving.iter().find(|found| Some(found.id().version) == entry.version);

        json!({
            "version": entry.version.map(|version| version.to_string()),
            "state": state_name(entry.state),
            "reason": entry.reason,
            "runtime": entry.runtime.as_ref().map(|runtime| &runtime.name),
            "serving": serving.map(|version| serving_json(version)),
        })
    }
}

fn serving_json(version: &Servable) -> Value {
    let report = version.report();
    // An instance that calls has at least what it started with, and the snapshot is there without
    // one.
    let started = (report.busy_instances as u64 + 1) * report.memory_bytes;

    json!({
        "digest": report.digest,
        "suspended": report.suspended,
        "idle_instances": report.idle_instances,
        "busy_instances": report.busy_instances,
        "memory_bytes": report.idle_memory_bytes + started,
        "cpu_ms": version.cpu_time().as_millis() as u64,
    })
}

/// Describes the requests of a time. Latencies are in microseconds.
pub(super) fn summary_json(summary: &RequestSummary) -> Value {
    let latency = summary.latency.map(|Percentiles { p50, p95, p99 }| {
        let micros = [p50, p95, p99].map(|latency| latency.as_nanos() as f64 / 1e3);
        json!({ "p50_us": micros[0], "p95_us": micros[1], "p99_us": micros[2] })
    });

    json!({ "answered": summary.answered, "failed": summary.failed, "latency": latency })
}
