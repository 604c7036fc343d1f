//! Schemas of OpenAI's API, as far as this server reads it. Other fields are accepted.

use serde_json::{Value, json};

use super::shapes::{
    Schemas, any, count, list, nullable, number, one_of, record, record_with, reference, text,
};

/// Returns the schemas.
pub(super) fn schemas() -> Schemas {
    let tokens = [("prompt_tokens", count()), ("total_tokens", count())];

    vec![
        ("EmbeddingsRequest", embeddings_request()),
        ("Embedding", embedding()),
        (
            "EmbeddingsResponse",
            record(&[
                ("object", one_of(&["list"])),
                ("data", list(reference("Embedding"))),
                ("model", text()),
                ("usage", record(&tokens)),
            ]),
        ),
        ("TokenUsage", token_usage()),
        ("ChatRequest", chat_request()),
        ("ChatResponse", answer("chat.completion", chat_choice())),
        ("CompletionRequest", completion_request()),
        ("CompletionResponse", answer("text_completion", text_choice())),
    ]
}

/// An error.
pub(super) fn error() -> Value {
    record(&[("message", text()), ("type", text()), ("param", nullable(text())), ("code", text())])
}

fn embeddings_request() -> Value {
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

/// The vector of a text, as numbers or, in base64, as 32-bit floats.
fn embedding() -> Value {
    let vector = json!({ "anyOf": [list(number()), text()] });
    record(&[("object", one_of(&["embedding"])), ("index", count()), ("embedding", vector)])
}

fn token_usage() -> Value {
    record(&[("prompt_tokens", count()), ("completion_tokens", count()), ("total_tokens", count())])
}

fn chat_request() -> Value {
    let roles = ["system", "developer", "user", "assistant", "tool", "function"];
    let content = json!({ "anyOf": [nullable(text()), list(json!({ "type": "object" }))] });
    let message = record_with(&[("role", one_of(&roles))], &[("content", content)]);
    let messages = json!({ "type": "array", "minItems": 1, "items": message });

    writing_request("messages", messages)
}

fn completion_request() -> Value {
    let one = json!({ "type": "array", "minItems": 1, "maxItems": 1, "items": text() });
    writing_request("prompt", json!({ "anyOf": [text(), one] }))
}

/// The whole answer to a request for text.
fn answer(object: &str, choice: Value) -> Value {
    record_with(
        &[
            ("id", text()),
            ("object", one_of(&[object])),
            ("created", count()),
            ("model", text()),
            ("choices", list(choice)),
            ("usage", reference("TokenUsage")),
        ],
        &[("system_fingerprint", text())],
    )
}

fn chat_choice() -> Value {
    let message = record(&[
        ("role", one_of(&["assistant"])),
        ("content", text()),
        ("refusal", nullable(text())),
    ]);
    record(&[
        ("index", count()),
        ("message", message),
        ("logprobs", any()),
        ("finish_reason", text()),
    ])
}

fn text_choice() -> Value {
    record(&[("index", count()), ("text", text()), ("logprobs", any()), ("finish_reason", text())])
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
