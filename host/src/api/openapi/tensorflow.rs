//! Schemas of TensorFlow Serving's REST API and of KServe's version 1.

use serde_json::{Value, json};

use super::shapes::{
    Schemas, any, boolean, count, list, map_of, one_of, open, record, record_with, reference, text,
};

/// Returns the schemas.
pub(super) fn schemas() -> Schemas {
    let statuses = || ("model_version_status", list(reference("VersionStatus")));

    vec![
        ("TensorflowRequest", request()),
        (
            "TensorflowResponse",
            record_with(
                &[],
                &[("predictions", list(any())), ("outputs", any()), ("results", list(any()))],
            ),
        ),
        ("VersionStatus", version_status()),
        ("ModelStatus", model_status(statuses())),
        ("Signature", signature()),
        ("ListedModel", record(&described())),
        (
            "ModelList",
            record(&[
                ("object", one_of(&["list"])),
                ("data", list(reference("ListedModel"))),
                ("models", list(text())),
            ]),
        ),
    ]
}

/// Rows under `instances`, tensors under `inputs`, or records under `examples`.
fn request() -> Value {
    let row = json!({});
    open(record_with(
        &[],
        &[
            ("signature_name", text()),
            ("instances", list(row.clone())),
            ("inputs", row),
            ("examples", list(map_of(any()))),
            ("context", map_of(any())),
            ("parameters", map_of(any())),
        ],
    ))
}

fn version_status() -> Value {
    let status = record(&[("error_code", text()), ("error_message", text())]);
    let states = one_of(&["AVAILABLE", "LOADING", "UNLOADING", "END"]);
    record(&[("version", text()), ("state", states), ("status", status)])
}

/// The states of versions; for a model also the keys of OpenAI and of KServe.
fn model_status(statuses: (&'static str, Value)) -> Value {
    let [id, object, created, owned_by] = described();
    let (name, ready) = (("name", text()), ("ready", boolean()));
    record_with(&[statuses], &[id, object, created, owned_by, name, ready])
}

/// The keys of OpenAI.
fn described() -> [(&'static str, Value); 4] {
    [("id", text()), ("object", one_of(&["model"])), ("created", count()), ("owned_by", text())]
}

fn signature() -> Value {
    let dimension = record(&[("size", text()), ("name", text())]);
    let shape = record(&[("dim", list(dimension)), ("unknown_rank", boolean())]);
    let tensor = record(&[("dtype", text()), ("tensor_shape", shape), ("name", text())]);
    let serving = record(&[
        ("inputs", map_of(tensor.clone())),
        ("outputs", map_of(tensor)),
        ("method_name", text()),
    ]);
    let definitions = record(&[("signature_def", map_of(serving))]);
    let model = record(&[("name", text()), ("signature_name", text()), ("version", text())]);

    record(&[("model_spec", model), ("metadata", record(&[("signature_def", definitions)]))])
}
