//! Schemas of OpenAI's API, as far as this server reads it. Other fields are accepted.

use serde_json::{Value, json};

/// An error.
pub(super) fn error() -> Value {
    json!({
        "type": "object",
        "required": ["message", "type", "param", "code"],
        "properties": {
            "message": text(), "type": text(), "param": { "type": ["string", "null"] },
            "code": text(),
        },
    })
}

/// A request for embeddings.
pub(super) fn embeddings_request() -> Value {
    json!({
        "type": "object",
        "required": ["model", "input"],
        "properties": {
            "model": text(),
            "input": {
                "anyOf": [text(), { "type": "array", "minItems": 1, "items": text() }],
            },
            "encoding_format": { "type": ["string", "null"], "enum": ["float", "base64", null] },
            "dimensions": { "type": ["integer", "null"], "minimum": 1 },
        },
    })
}

/// A request to answer the messages of a chat.
pub(super) fn chat_request() -> Value {
    let roles = ["system", "developer", "user", "assistant", "tool", "function"];
    let message = json!({
        "type": "object",
        "required": ["role"],
        "properties": { "role": { "type": "string", "enum": roles } },
    });
    let messages = json!({ "type": "array", "minItems": 1, "items": message });

    writing_request("messages", messages)
}

/// A request to continue a text.
pub(super) fn completion_request() -> Value {
    let one = json!({ "type": "array", "minItems": 1, "maxItems": 1, "items": text() });
    writing_request("prompt", json!({ "anyOf": [text(), one] }))
}

/// The whole answer to a request for text.
pub(super) fn answer() -> Value {
    let object = json!({ "type": "object" });
    json!({
        "type": "object",
        "required": ["id", "object", "created", "model", "choices", "usage"],
        "properties": {
            "id": text(), "object": text(), "created": { "type": "integer" }, "model": text(),
            "choices": { "type": "array", "items": object }, "usage": object,
        },
    })
}

fn writing_request(name: &str, value: Value) -> Value {
    let limit = json!({ "type": ["integer", "null"], "minimum": 1 });
    let stop = json!({
        "anyOf": [
            { "type": ["string", "null"], "maxLength": 64 },
            { "type": "array", "maxItems": 16, "items": { "type": "string", "maxLength": 64 } },
        ],
    });

    let mut request = json!({
        "type": "object",
        "required": ["model", name],
        "properties": {
            "model": text(),
            "stream": { "type": ["boolean", "null"] },
            "stream_options": { "type": ["object", "null"] },
            "max_tokens": limit,
            "max_completion_tokens": limit,
            "stop": stop,
            "temperature": { "type": ["number", "null"] },
            "seed": { "type": ["integer", "null"] },
            "n": { "type": ["integer", "null"], "enum": [1, null] },
        },
    });
    request["properties"][name] = value;

    request
}

fn text() -> Value {
    json!({ "type": "string" })
}
