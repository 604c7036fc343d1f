//! Media types and schemas of request and response bodies.

use serde_json::{Map, Value, json};

/// Returns the content of a body kind: a schema name, or media types separated by commas.
pub(super) fn content(kind: &str) -> Value {
    let mut content = Map::new();
    match kind {
        "" => {}
        "application/json" => {
            drop(content.insert(kind.into(), json!({ "schema": { "type": "object" } })))
        }
        // Browsers receive the page.
        "Alive" => content.extend([schema(kind), text_or_bytes("text/html")]),
        "ChatResponse" | "CompletionResponse" => {
            content.extend([schema(kind), text_or_bytes("text/event-stream")]);
        }
        "Component" | "Value" => content.extend([text_or_bytes("application/octet-stream")]),
        media if media.contains('/') => content.extend(media.split(',').map(text_or_bytes)),
        "InferRequest" | "InferResponse" => {
            content.extend([schema(kind), text_or_bytes("application/octet-stream")]);
        }
        // Generated clients cannot distinguish SageMaker's content type from the other binary one,
        // and cannot set its parameter. They know no CSV either.
        "Invocation" | "InvocationResponse" => {
            content.extend([schema(kind), text_or_bytes("application/octet-stream")])
        }
        _ => content.extend([schema(kind)]),
    }

    content.into()
}

/// Describes the body beyond its schema.
pub(super) fn description(kind: &str) -> &'static str {
    match kind {
        "InferRequest" => {
            "JSON; or binary tensors after JSON of the length that the header Inference-Header-Content-Length tells, \
             where 0 means that the body is the bytes of the only input"
        }
        "PredictRequest" => {
            "JSON: a record, a list of records, or a table under dataframe_split, dataframe_records, instances or \
             inputs; or CSV with a header, as text/csv"
        }
        "Invocation" => {
            "JSON of an inference request or of a table; or CSV with a header, as text/csv; or binary tensors after JSON of the length that the header Inference-Header-Content-Length tells, \
             or that the content type tells: application/vnd.sagemaker-triton.binary+json;json-header-size=LENGTH"
        }
        "Component" => {
            "a WebAssembly component, a model file, or a tar archive of the version's folder, plain or gzipped, under \
             any content type"
        }
        "Value" => "any bytes, under any content type",
        _ => "JSON",
    }
}

/// True if the body may be omitted.
pub(super) fn is_optional(kind: &str) -> bool {
    matches!(kind, "IndexRequest" | "LoadRequest" | "UnloadRequest" | "Value")
}

/// True if the body is JSON or can be.
pub(super) fn is_json(kind: &str) -> bool {
    !matches!(kind, "" | "Component" | "Value")
}

/// True if the body can contain binary tensors.
pub(super) fn is_binary(kind: &str) -> bool {
    matches!(kind, "InferRequest" | "Invocation")
}

fn schema(name: &str) -> (String, Value) {
    let reference = format!("#/components/schemas/{name}");
    ("application/json".into(), json!({ "schema": { "$ref": reference } }))
}

fn text_or_bytes(media: &str) -> (String, Value) {
    let schema = match media {
        "application/octet-stream" => json!({ "type": "string", "format": "binary" }),
        _ => json!({ "type": "string" }),
    };
    (media.into(), json!({ "schema": schema }))
}
