//! Schemas of the request and response bodies.

use serde_json::{Map, Value, json};

use super::openai;

/// Returns all schemas by name.
pub(super) fn schemas() -> Map<String, Value> {
    let text = json!({ "type": "string" });
    let object = json!({ "type": "object" });
    let runtime = record(
        &[("name", &text), ("digest", &text), ("format", &text), ("model_file", &text)],
        &[],
    );
    // A cursor is null on the last page.
    let text_or_null = json!({ "type": ["string", "null"] });
    // A tensor under its own key: a single element or an array.
    let elements = json!({ "anyOf": [scalar(), { "type": "array", "items": scalar() }] });
    let tensor = tensor();
    let [named, inputs, outputs] =
        ["TensorSpec", "InputTensor", "OutputTensor"].map(|name| list(reference(name)));
    let parameters = json!({ "type": "object", "additionalProperties": scalar() });
    // An array reaches the model as JSON text.
    let flexible = json!({ "type": "object", "additionalProperties": elements });
    // The type differs if the model has an input or output of that name.
    let id = json!({ "description": "the request's, unless the model has one of that name" });

    let schemas = [
        ("Error", record(&[("error", &text), ("code", &text)], &[("quota", &text)])),
        ("OpenAiError", record(&[("error", &openai::error())], &[])),
        // OpenAI's form, where its clients ask.
        (
            "AnyError",
            json!({ "type": "object", "properties": { "error": { "anyOf": [text, object] } } }),
        ),
        (
            "Server",
            record(
                &[("name", &text), ("version", &text), ("extensions", &list(text.clone()))],
                &[],
            ),
        ),
        ("Alive", record(&[("status", &text)], &[])),
        ("Live", record(&[("live", &boolean())], &[])),
        ("Ready", record(&[("ready", &boolean())], &[("degraded", &text), ("shut", &text)])),
        ("Models", record(&[("models", &list(text.clone()))], &[])),
        ("ModelReady", record(&[("name", &text), ("ready", &boolean())], &[])),
        (
            "TensorSpec",
            record(&[("name", &text), ("datatype", &datatype()), ("shape", &list(integer()))], &[]),
        ),
        (
            "Metadata",
            record(
                &[("name", &text), ("platform", &text), ("inputs", &named), ("outputs", &named)],
                &[("versions", &list(text.clone())), ("properties", &object)],
            ),
        ),
        ("Config", object.clone()),
        ("Statistics", record(&[("model_stats", &list(object.clone()))], &[])),
        ("InputTensor", closed(tensor.clone())),
        ("RequestedOutput", closed(record(&[("name", &text)], &[("parameters", &parameters)]))),
        ("OutputTensor", tensor),
        (
            "InferRequest",
            closed(record(
                &[("inputs", &inputs)],
                &[
                    ("id", &text),
                    ("parameters", &parameters),
                    ("outputs", &list(reference("RequestedOutput"))),
                ],
            )),
        ),
        (
            "InferResponse",
            record(
                &[("model_name", &text), ("model_version", &text), ("outputs", &outputs)],
                &[("id", &text), ("parameters", &parameters)],
            ),
        ),
        ("PredictRequest", table()),
        ("Predictions", record(&[("predictions", &list(json!({})))], &[])),
        ("Invocation", table()),
        (
            "InvocationResponse",
            record(
                &[],
                &[
                    ("predictions", &list(json!({}))),
                    ("model_name", &text),
                    ("model_version", &text),
                    ("outputs", &outputs),
                ],
            ),
        ),
        ("TensorflowRequest", object.clone()),
        ("TensorflowResponse", object.clone()),
        ("ModelStatus", record(&[("model_version_status", &list(object.clone()))], &[])),
        ("Signature", record(&[("model_spec", &object), ("metadata", &object)], &[])),
        (
            "ModelList",
            record(
                &[
                    ("object", &text),
                    ("data", &list(object.clone())),
                    ("models", &list(text.clone())),
                ],
                &[],
            ),
        ),
        ("EmbeddingsRequest", openai::embeddings_request()),
        (
            "EmbeddingsResponse",
            record(
                &[
                    ("object", &text),
                    ("data", &list(object.clone())),
                    ("model", &text),
                    ("usage", &object),
                ],
                &[],
            ),
        ),
        ("ChatRequest", openai::chat_request()),
        ("ChatResponse", openai::answer()),
        ("CompletionRequest", openai::completion_request()),
        ("CompletionResponse", openai::answer()),
        // Also contains a key for each input, parameter and output of the model.
        (
            "GenerateRequest",
            open(record(&[], &[("text_input", &elements), ("id", &id), ("parameters", &flexible)])),
        ),
        (
            "GenerateResponse",
            open(record(
                &[("model_name", &text), ("model_version", &text)],
                &[("text_output", &elements), ("id", &id)],
            )),
        ),
        ("IndexRequest", closed(record(&[], &[("ready", &boolean())]))),
        ("LoadRequest", closed(record(&[], &[("parameters", &closed(record(&[], &[])))]))),
        ("UnloadRequest", closed(record(&[], &[("parameters", &object)]))),
        (
            "Index",
            list(record(
                &[("name", &text), ("state", &text)],
                &[("version", &text), ("reason", &text), ("runtime", &runtime)],
            )),
        ),
        (
            "Uploaded",
            record(
                &[("name", &text), ("version", &text)],
                &[("digest", &text), ("state", &text), ("reason", &text)],
            ),
        ),
        ("Buckets", record(&[("buckets", &list(text.clone())), ("cursor", &text_or_null)], &[])),
        (
            "Keys",
            record(
                &[("bucket", &text), ("keys", &list(text.clone())), ("cursor", &text_or_null)],
                &[],
            ),
        ),
        ("KeyValue", record(&[("bucket", &text), ("key", &text)], &[("size", &integer())])),
        (
            "Sessions",
            record(&[("sessions", &list(object.clone())), ("cursor", &text_or_null)], &[]),
        ),
        ("Tasks", record(&[("tasks", &list(object.clone())), ("cursor", &text_or_null)], &[])),
        ("Task", object.clone()),
        ("Usage", object.clone()),
        ("Dashboard", object.clone()),
        ("History", object.clone()),
        ("Logs", object.clone()),
        ("Tenants", object),
    ];

    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// A record, an envelope, or a list of rows.
fn table() -> Value {
    json!({ "anyOf": [{ "type": "object" }, { "type": "array", "items": {} }] })
}

fn tensor() -> Value {
    let data = json!({
        "type": "array",
        "description": "row-major; nested in the tensor's shape, or flat",
        "items": { "anyOf": [scalar(), { "type": "array", "items": {} }] },
    });

    let text = json!({ "type": "string" });

    record(
        &[("name", &text), ("datatype", &datatype()), ("shape", &list(integer())), ("data", &data)],
        &[("parameters", &json!({ "type": "object" }))],
    )
}

/// An element of a tensor, or a parameter value.
fn scalar() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

fn datatype() -> Value {
    let names = crate::model::Datatype::ALL.map(|datatype| datatype.name());
    json!({ "type": "string", "enum": names })
}

fn record(required: &[(&str, &Value)], optional: &[(&str, &Value)]) -> Value {
    let names: Vec<_> = required.iter().map(|(name, _)| name).collect();
    let members: Map<String, Value> = required
        .iter()
        .chain(optional)
        .map(|&(name, schema)| (name.to_owned(), schema.clone()))
        .collect();

    json!({ "type": "object", "required": names, "properties": members })
}

/// Disallows additional keys.
fn closed(mut record: Value) -> Value {
    record["additionalProperties"] = json!(false);
    record
}

/// Allows additional keys.
fn open(mut record: Value) -> Value {
    record["additionalProperties"] = json!(true);
    record
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn integer() -> Value {
    json!({ "type": "integer" })
}

fn boolean() -> Value {
    json!({ "type": "boolean" })
}
