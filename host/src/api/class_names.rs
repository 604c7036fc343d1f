//! The names of a model's classes.

use crate::model::{Metadata, ParameterValue};

/// The property of a model's metadata that names its classes: a JSON array.
const CLASSES: &str = "classes";

/// Returns the names of the classes; empty if the metadata does not list them.
pub(super) fn class_names(metadata: &Metadata) -> Vec<String> {
    let property = metadata.properties.iter().find(|property| property.name == CLASSES);
    let Some(ParameterValue::Text(text)) = property.map(|property| &property.value) else {
        return Vec::new();
    };

    let names: Vec<serde_json::Value> = serde_json::from_str(text).unwrap_or_default();
    names
        .into_iter()
        .map(|name| match name {
            serde_json::Value::String(name) => name,
            other => other.to_string(),
        })
        .collect()
}
