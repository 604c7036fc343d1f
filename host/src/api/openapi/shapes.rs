//! The shapes that schemas are made of.

use serde_json::{Map, Value, json};

/// Schemas with their names in the document.
pub(super) type Schemas = Vec<(&'static str, Value)>;

/// Names of the members of an object with their schemas.
pub(super) type Members<'a> = &'a [(&'a str, Value)];

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(super) fn integer() -> Value {
    json!({ "type": "integer" })
}

/// A whole number of 0 or above.
pub(super) fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

pub(super) fn number() -> Value {
    json!({ "type": "number" })
}

pub(super) fn boolean() -> Value {
    json!({ "type": "boolean" })
}

/// An element of a tensor, or the value of a parameter.
pub(super) fn scalar() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

/// A value of any type.
pub(super) fn any() -> Value {
    json!({})
}

/// One of these texts.
pub(super) fn one_of(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

pub(super) fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// An object with any keys, whose values have this schema.
pub(super) fn map_of(values: Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

/// The value, or null.
pub(super) fn nullable(schema: Value) -> Value {
    match &schema["type"] {
        Value::String(kind) if schema.get("enum").is_none() && kind != "object" => {
            let types = json!([kind, "null"]);
            let mut schema = schema;
            schema["type"] = types;
            schema
        }
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

/// A schema of the document, by its name.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An object whose keys are always there.
pub(super) fn record(required: Members<'_>) -> Value {
    record_with(required, &[])
}

/// An object with further keys that may be absent.
pub(super) fn record_with(required: Members<'_>, optional: Members<'_>) -> Value {
    let names: Vec<_> = required.iter().map(|(name, _)| name).collect();
    let members = required.iter().chain(optional);
    let members: Map<String, Value> =
        members.map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();

    json!({ "type": "object", "required": names, "properties": members })
}

/// Disallows additional keys.
pub(super) fn closed(mut record: Value) -> Value {
    record["additionalProperties"] = json!(false);
    record
}

/// Allows additional keys.
pub(super) fn open(mut record: Value) -> Value {
    record["additionalProperties"] = json!(true);
    record
}
