//! Schemas of a tenant's usage, log and stored data.

use serde_json::Value;

use super::shapes::{
    Schemas, count, list, map_of, nullable, number, one_of, record, record_with, reference, text,
};

/// Returns the schemas.
pub(super) fn schemas() -> Schemas {
    // A cursor is null on the last page.
    let cursor = || ("cursor", nullable(text()));

    vec![
        ("Buckets", record(&[("buckets", list(text())), cursor()])),
        ("Keys", record(&[("bucket", text()), ("keys", list(text())), cursor()])),
        ("KeyValue", record_with(&[("bucket", text()), ("key", text())], &[("size", count())])),
        ("Session", session()),
        ("Sessions", record(&[("sessions", list(reference("Session"))), cursor()])),
        ("Task", task()),
        ("Tasks", record(&[("tasks", list(reference("Task"))), cursor()])),
        ("Usage", usage()),
        ("Tenants", record(&[("tenants", list(reference("Usage"))), ("faults", list(text()))])),
        ("LogLine", log_line()),
        ("Logs", record(&[("lines", list(reference("LogLine"))), ("dropped", count())])),
    ]
}

fn session() -> Value {
    record(&[
        ("id", text()),
        ("size", count()),
        ("version", text()),
        ("age_ms", count()),
        ("idle_ms", count()),
        ("expires_in_ms", count()),
    ])
}

fn task() -> Value {
    record(&[
        ("id", text()),
        ("model", text()),
        ("version", text()),
        ("session", nullable(text())),
        ("request_id", text()),
        ("name", text()),
        ("size", count()),
        ("state", one_of(&["waiting", "running", "failed"])),
        ("tries", count()),
        ("deferred_ms", count()),
        ("next_try_ms", nullable(count())),
        ("failed_ms", nullable(count())),
        ("error", nullable(text())),
    ])
}

fn usage() -> Value {
    // A limit is null if there is none; some limits are on no amount.
    let resource = record_with(&[("limit", nullable(count()))], &[("used", count())]);

    record(&[
        ("tenant", text()),
        ("weight", count()),
        ("cpu_seconds", number()),
        ("refused", count()),
        ("quota", map_of(resource)),
    ])
}

fn log_line() -> Value {
    record(&[
        ("time_ms", count()),
        ("model", text()),
        ("version", count()),
        ("request_id", text()),
        ("level", text()),
        ("context", text()),
        ("message", text()),
    ])
}
