//! The settings in force for a version, as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::version_numbers;
use crate::api::routes::repository::runtime_json;
use crate::model::{
    Batching, BreakerSettings, DeferredTasks, Isolation, Limits, ModelSettings, Sessions,
    Streaming, Version,
};
use crate::servable::{BatchForm, BatchLimit, Servable, ServableReport};

/// Returns the settings in force for a version, and its state.
pub(super) fn effective_settings(servable: &Servable, versions: &[Version]) -> Value {
    let settings = servable.settings();
    let report = servable.report();

    json!({
        "version": servable.id().version.number(),
        "versions": version_numbers(versions),
        "labels": labels(settings),
        "digest": report.digest,
        "runtime": servable.template().runtime().map(runtime_json),
        "snapshot": report.snapshot.is_ok(),
        "snapshot_reason": report.snapshot.as_ref().err(),
        "isolation": isolation(settings.isolation),
        "instances": instances(settings, &report),
        "suspended": report.suspended,
        "breaker": breaker(&settings.breaker),
        "memory_bytes": report.memory_bytes,
        "batching": batching(&settings.batching, servable.batch_limit()),
        "streaming": streaming(&settings.streaming),
        "sessions": sessions(&settings.sessions),
        "deferred": deferred(&settings.deferred),
        "limits": limits(&settings.limits),
        "routes": settings.routes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "warmup": { "requests": settings.warmup.requests },
        "capabilities": capabilities(servable),
    })
}

fn labels(settings: &ModelSettings) -> BTreeMap<&String, u64> {
    settings.labels.iter().map(|(label, version)| (label, version.number())).collect()
}

fn isolation(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::Request => "request",
        Isolation::Pooled => "pooled",
    }
}

fn instances(settings: &ModelSettings, report: &ServableReport) -> Value {
    json!({
        "min": settings.instances.min,
        "max": settings.instances.max,
        "idle_timeout_ms": milliseconds(settings.instances.idle_timeout),
        "threads": settings.instances.threads,
        "idle": report.idle_instances,
        "busy": report.busy_instances,
    })
}

fn breaker(breaker: &BreakerSettings) -> Value {
    json!({
        "faults": breaker.faults,
        "pause_ms": milliseconds(breaker.pause),
        "rollback": breaker.rollback,
    })
}

fn batching(batching: &Batching, limit: Option<BatchLimit>) -> Value {
    let form = limit.map(|limit| match limit.form {
        BatchForm::Joined => "joined",
        BatchForm::SideBySide => "side by side",
    });

    json!({
        "max_batch_size": batching.max_batch_size,
        // The result of the setting and the model's own limit.
        "effective": limit.map_or(1, |limit| limit.items),
        "form": form,
        "max_queue_delay_ms": milliseconds(batching.max_queue_delay),
        "max_queue": batching.max_queue,
    })
}

fn streaming(streaming: &Streaming) -> Value {
    json!({
        "deadline_ms": milliseconds(streaming.deadline),
        "cpu_time_ms": milliseconds(streaming.cpu_time),
        "total_bytes": streaming.total,
        "heartbeat_ms": milliseconds(streaming.heartbeat),
    })
}

fn sessions(sessions: &Sessions) -> Value {
    json!({
        "idle_timeout_ms": milliseconds(sessions.idle_timeout),
        "max_size_bytes": sessions.max_size,
    })
}

fn deferred(deferred: &DeferredTasks) -> Value {
    json!({
        "tries": deferred.tries,
        "pause_ms": milliseconds(deferred.pause),
        "deadline_ms": milliseconds(deferred.deadline),
        "cpu_time_ms": milliseconds(deferred.cpu_time),
        "per_call": deferred.per_call,
        "payload_bytes": deferred.payload,
    })
}

fn limits(limits: &Limits) -> Value {
    json!({
        "memory_bytes": limits.memory,
        "deadline_ms": milliseconds(limits.deadline),
        "cpu_time_ms": milliseconds(limits.cpu_time),
        "request_bytes": limits.request,
        "response_bytes": limits.response,
    })
}

fn capabilities(servable: &Servable) -> Value {
    let capabilities = &servable.settings().capabilities;
    let live = servable.template().config().live();

    // The values may be secrets of the model's owner.
    json!({
        "config": capabilities.config.keys().collect::<Vec<_>>(),
        "live_config": live.keys().collect::<Vec<_>>(),
        "http": capabilities.http.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "key_value": capabilities.key_value,
        "sql": capabilities.sql,
        "kernels": capabilities.kernels,
    })
}

fn milliseconds(duration: Duration) -> u64 {
    duration.as_millis() as u64
}
