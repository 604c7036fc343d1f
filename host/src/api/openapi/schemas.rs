//! The schemas of the request and response bodies, by name.

use serde_json::{Map, Value};

use super::shapes::{Schemas, record, record_with, text};
use super::{inference, models, openai, tenant, tensorflow};

/// Returns all schemas.
pub(super) fn schemas() -> Map<String, Value> {
    let groups = [
        errors(),
        models::schemas(),
        inference::schemas(),
        tensorflow::schemas(),
        openai::schemas(),
        tenant::schemas(),
    ];

    groups.into_iter().flatten().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn errors() -> Schemas {
    // OpenAI's form, where its clients ask.
    let either = serde_json::json!({ "anyOf": [text(), { "type": "object" }] });

    vec![
        ("Error", record_with(&[("error", text()), ("code", text())], &[("quota", text())])),
        ("AnyError", record_with(&[], &[("error", either)])),
        ("OpenAiError", record(&[("error", openai::error())])),
    ]
}
