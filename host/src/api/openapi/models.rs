//! Schemas of models and their repository.

use serde_json::{Value, json};

use super::inference::datatype;
use super::shapes::{
    Schemas, any, boolean, closed, count, integer, list, map_of, nullable, number, one_of, record,
    record_with, reference, scalar, text,
};

const STATES: [&str; 4] = ["READY", "LOADING", "UNLOADING", "UNAVAILABLE"];

/// Returns the schemas.
pub(super) fn schemas() -> Schemas {
    let groups = [server(), model(), statistics(), repository(), history()];
    groups.into_iter().flatten().collect()
}

fn server() -> Schemas {
    vec![
        ("Server", record(&[("name", text()), ("version", text()), ("extensions", list(text()))])),
        ("Alive", record(&[("status", text())])),
        ("Live", record(&[("live", boolean())])),
        ("Ready", record_with(&[("ready", boolean())], &[("degraded", text()), ("shut", text())])),
        ("Models", record(&[("models", list(text()))])),
        ("ModelReady", record(&[("name", text()), ("ready", boolean())])),
    ]
}

fn model() -> Schemas {
    let specs = || list(reference("TensorSpec"));

    vec![
        (
            "TensorSpec",
            record(&[("name", text()), ("datatype", datatype()), ("shape", list(integer()))]),
        ),
        (
            "Metadata",
            record_with(
                &[
                    ("name", text()),
                    ("platform", text()),
                    ("inputs", specs()),
                    ("outputs", specs()),
                ],
                &[("versions", list(text())), ("properties", map_of(scalar()))],
            ),
        ),
        ("ConfigTensor", config_tensor()),
        ("Config", config()),
    ]
}

fn statistics() -> Schemas {
    vec![
        ("Total", record(&[("count", count()), ("ns", count())])),
        ("ModelStatistics", model_statistics()),
        ("Statistics", record(&[("model_stats", list(reference("ModelStatistics")))])),
    ]
}

fn repository() -> Schemas {
    let runtime =
        record(&[("name", text()), ("digest", text()), ("format", text()), ("model_file", text())]);

    vec![
        ("Runtime", runtime),
        ("IndexRequest", closed(record_with(&[], &[("ready", boolean())]))),
        ("LoadRequest", closed(record_with(&[], &[("parameters", closed(record(&[])))]))),
        ("UnloadRequest", closed(record_with(&[], &[("parameters", json!({ "type": "object" }))]))),
        (
            "Index",
            list(record_with(
                &[("name", text()), ("state", one_of(&STATES))],
                &[("version", text()), ("reason", text()), ("runtime", reference("Runtime"))],
            )),
        ),
        (
            "Uploaded",
            record_with(
                &[("name", text()), ("version", text())],
                &[("digest", text()), ("state", one_of(&STATES)), ("reason", text())],
            ),
        ),
    ]
}

/// The requests of the last hour, and the dashboard that shows them.
fn history() -> Schemas {
    vec![
        ("Latencies", record(&[("p50_us", number()), ("p95_us", number()), ("p99_us", number())])),
        ("Requests", record(&requests())),
        ("Dashboard", dashboard()),
        ("History", model_history()),
    ]
}

fn config_tensor() -> Value {
    record_with(
        &[
            ("name", text()),
            ("data_type", text()),
            ("dims", list(integer())),
            ("optional", boolean()),
        ],
        &[("reshape", record(&[("shape", list(integer()))]))],
    )
}

fn config() -> Value {
    let tensors = || list(reference("ConfigTensor"));
    // The settings have names of their own, which `docs/configuration.md` lists.
    let settings = map_of(any());

    record(&[
        ("name", text()),
        ("platform", text()),
        ("backend", text()),
        ("version_policy", map_of(map_of(any()))),
        ("max_batch_size", count()),
        ("input", tensors()),
        ("output", tensors()),
        ("wardian", settings),
    ])
}

fn model_statistics() -> Value {
    let total = || reference("Total");
    let batch = record(&[
        ("batch_size", count()),
        ("compute_input", total()),
        ("compute_infer", total()),
        ("compute_output", total()),
    ]);
    let parts = [
        "success",
        "fail",
        "queue",
        "compute_input",
        "compute_infer",
        "compute_output",
        "cache_hit",
        "cache_miss",
    ];
    let parts: Vec<_> = parts.into_iter().map(|part| (part, total())).collect();

    record(&[
        ("name", text()),
        ("version", text()),
        ("last_inference", count()),
        ("inference_count", count()),
        ("execution_count", count()),
        ("inference_stats", record(&parts)),
        ("batch_stats", list(batch)),
        ("memory_usage", list(any())),
    ])
}

/// The members of a summary of requests.
fn requests() -> [(&'static str, Value); 3] {
    [("answered", count()), ("failed", count()), ("latency", nullable(reference("Latencies")))]
}

fn dashboard() -> Value {
    let serving = record(&[
        ("digest", text()),
        ("suspended", boolean()),
        ("idle_instances", count()),
        ("busy_instances", count()),
        ("memory_bytes", count()),
        ("cpu_ms", count()),
    ]);
    let version = record(&[
        ("version", nullable(text())),
        ("state", one_of(&STATES)),
        ("reason", text()),
        ("runtime", nullable(text())),
        ("serving", nullable(serving)),
    ]);
    let model = record(&[
        ("name", text()),
        ("versions", list(version)),
        ("hour", nullable(reference("Requests"))),
    ]);

    record(&[
        ("server", text()),
        ("scopes", list(text())),
        ("usage", reference("Usage")),
        ("models", list(model)),
    ])
}

fn model_history() -> Value {
    let [answered, failed, latency] = requests();
    let minute = record(&[answered, failed, latency, ("minutes_ago", count())]);
    let published = record(&[("version", text()), ("seconds_ago", count())]);

    record(&[
        ("name", text()),
        ("minutes", list(minute)),
        ("published", list(published)),
        ("plots", record(&[("latency", text()), ("requests", text())])),
    ])
}
