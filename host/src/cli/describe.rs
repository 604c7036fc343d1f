//! Formats a model for the terminal and as JSON.

use serde_json::{Map, Value, json};

use crate::engine::Snapshot;
use crate::model::{Metadata, Parameter, ParameterValue, RuntimeInfo, TensorSpec, is_unprintable};

/// The model's metadata: a name and a text for each line.
pub(super) fn metadata_lines(metadata: &Metadata) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if !metadata.description.is_empty() {
        lines.push(("says", to_printable(&metadata.description)));
    }
    lines.push(("inputs", specs_text(&metadata.inputs)));
    lines.push(("outputs", specs_text(&metadata.outputs)));
    if metadata.max_batch_size > 0 {
        lines.push(("batch", format!("up to {} items a call", metadata.max_batch_size)));
    }
    lines.extend(metadata.properties.iter().map(|property| ("property", property_text(property))));
    lines
}

/// The runtime of a model file as text.
pub(super) fn runtime_line(runtime: &RuntimeInfo) -> (&'static str, String) {
    let RuntimeInfo { name, digest, format, model_file } = runtime;
    ("runtime", format!("{name} {digest}, for {} of the format {format}", to_printable(model_file)))
}

/// The runtime of a model file as JSON.
pub(super) fn runtime_json(runtime: &RuntimeInfo) -> Value {
    let RuntimeInfo { name, digest, format, model_file } = runtime;
    json!({"name": name, "digest": digest.to_string(), "format": format, "model_file": model_file})
}

/// The model's metadata as JSON.
pub(super) fn metadata_json(metadata: &Metadata) -> Value {
    json!({
        "description": metadata.description,
        "inputs": metadata.inputs.iter().map(spec_json).collect::<Vec<_>>(),
        "outputs": metadata.outputs.iter().map(spec_json).collect::<Vec<_>>(),
        "max_batch_size": metadata.max_batch_size,
        "properties": metadata.properties.iter().map(property_json).collect::<Map<_, _>>(),
    })
}

/// The outcome of the snapshot as text.
pub(super) fn snapshot_text(snapshot: &Snapshot) -> String {
    match snapshot {
        Snapshot::Taken => "taken: every instance starts loaded".into(),
        Snapshot::Impossible(reason) => {
            format!("impossible, so load() runs in every instance: {}", to_printable(reason))
        }
    }
}

/// The outcome of the snapshot as JSON.
pub(super) fn snapshot_json(snapshot: &Snapshot) -> Value {
    match snapshot {
        Snapshot::Taken => json!({"taken": true}),
        Snapshot::Impossible(reason) => json!({"taken": false, "reason": reason}),
    }
}

/// A number of bytes with a unit.
pub(super) fn format_bytes(bytes: u64) -> String {
    let mut number = bytes as f64;
    let mut units = ["KiB", "MiB", "GiB"].into_iter();

    let mut unit = "bytes";
    while number >= 1024.0 {
        let Some(larger) = units.next() else { break };
        (number, unit) = (number / 1024.0, larger);
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{number:.1} {unit}") }
}

/// Makes a model's text safe for a terminal: one line without control characters.
pub(super) fn to_printable(text: &str) -> String {
    text.chars().map(|char| if is_unprintable(char) { ' ' } else { char }).collect()
}

/// Formats lines as an indented table.
pub(super) fn table(lines: &[(&str, String)]) -> impl Iterator<Item = String> {
    lines.iter().map(|(name, text)| format!("  {name:<9} {text}"))
}

/// Indents a reason of several lines, such as a trap's backtrace and the guest's last log lines.
pub(super) fn indented(reason: &str) -> impl Iterator<Item = String> {
    reason.lines().map(|line| format!("  {}", to_printable(line)))
}

fn specs_text(specs: &[TensorSpec]) -> String {
    let texts: Vec<_> = specs.iter().map(spec_text).collect();
    if texts.is_empty() { "none".into() } else { texts.join(", ") }
}

fn spec_text(spec: &TensorSpec) -> String {
    let optional = if spec.optional { " (optional)" } else { "" };
    format!("{} {} {:?}{optional}", spec.name, spec.datatype, spec.shape)
}

fn spec_json(spec: &TensorSpec) -> Value {
    let TensorSpec { name, datatype, shape, optional } = spec;
    json!({"name": name, "datatype": datatype.name(), "shape": shape, "optional": optional})
}

fn property_text(property: &Parameter) -> String {
    let (name, value) = property_json(property);
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    to_printable(&format!("{name}: {text}"))
}

fn property_json(property: &Parameter) -> (String, Value) {
    let value = match &property.value {
        ParameterValue::Boolean(value) => json!(value),
        ParameterValue::Integer(value) => json!(value),
        ParameterValue::Number(value) => json!(value),
        ParameterValue::Text(value) => json!(value),
    };
    (property.name.clone(), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_largest_unit_that_fits() {
        let sizes = [0, 1023, 1024, 1536, 5 << 20, 3 << 30, 4096 << 30].map(format_bytes);
        assert_eq!(
            sizes,
            ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "5.0 MiB", "3.0 GiB", "4096.0 GiB"]
        );
    }

    #[test]
    fn control_characters_of_a_model_are_removed() {
        assert_eq!(to_printable("a\x1b[2Jb\nc"), "a [2Jb c");
    }
}
