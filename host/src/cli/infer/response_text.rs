//! Formats a response for the terminal. Numbers keep the server's digits.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::output_file::OutputTensor;
use crate::cli::describe::to_printable;

/// The most items of a dimension that are shown.
const MAX_ITEMS: usize = 10;

/// The most characters of a text that are shown.
const MAX_CHARACTERS: usize = 200;

/// An inference response.
#[derive(Deserialize)]
struct Response<'a> {
    #[serde(default)]
    model_name: String,
    model_version: Option<String>,
    #[serde(borrow, default)]
    parameters: BTreeMap<String, &'a RawValue>,
    #[serde(borrow, default)]
    outputs: Vec<Output<'a>>,
}

#[derive(Deserialize)]
struct Output<'a> {
    name: String,
    datatype: String,
    shape: Vec<usize>,
    /// Empty if the tensor is binary.
    #[serde(borrow, default)]
    data: Vec<&'a RawValue>,
}

/// Returns the outputs of a response. Fails if the body is no inference response.
pub(super) fn outputs(body: &[u8]) -> Result<Vec<OutputTensor<'_>>> {
    Ok(parse(body)?.outputs.into_iter().map(OutputTensor::from).collect())
}

impl<'a> From<Output<'a>> for OutputTensor<'a> {
    fn from(Output { name, datatype, shape, data }: Output<'a>) -> Self {
        let data = data.iter().map(|element| element.get()).collect();
        OutputTensor { name, datatype, shape, data }
    }
}

fn parse(body: &[u8]) -> Result<Response<'_>> {
    serde_json::from_slice(body).map_err(|error| {
        let what = if error.is_data() { "no response to inference" } else { "not JSON" };
        anyhow!("the server's answer is {what}; --json prints it as it came: {error}")
    })
}

/// Returns the lines of a response. Fails if the body is no inference response.
pub(super) fn format_response(body: &[u8]) -> Result<Vec<String>> {
    let response = parse(body)?;
    let version =
        response.model_version.map(|version| format!(" version {}", to_printable(&version)));
    let mut lines =
        vec![format!("{}{}", to_printable(&response.model_name), version.unwrap_or_default())];

    for (name, value) in response.parameters {
        lines.push(format!("  parameter {}: {}", to_printable(&name), format_element(value)));
    }
    lines.extend(response.outputs.iter().flat_map(format_tensor));

    Ok(lines)
}

fn format_tensor(Output { name, datatype, shape, data }: &Output) -> Vec<String> {
    let head = format!("  {} {} {shape:?}", to_printable(name), to_printable(datatype));
    let body = match shape.as_slice() {
        // One row per line reads well for most models.
        [count, inner @ ..] if !inner.is_empty() && !data.is_empty() => {
            format_rows(data, *count, inner)
        }
        shape => vec![format_values(data, shape)],
    };

    match body.as_slice() {
        [line] => vec![format!("{head}: {line}")],
        lines => {
            [vec![format!("{head}:")], lines.iter().map(|line| format!("    {line}")).collect()]
                .concat()
        }
    }
}

fn format_rows(data: &[&RawValue], count: usize, inner: &[usize]) -> Vec<String> {
    let rows = data.chunks(chunk_len(data, count)).take(MAX_ITEMS);
    let mut lines: Vec<_> = rows.map(|row| format_values(row, inner)).collect();
    if count > MAX_ITEMS {
        lines.push(format!("… and {} more", count - MAX_ITEMS));
    }
    lines
}

/// Formats elements as nested arrays, and cuts long ones.
fn format_values(data: &[&RawValue], shape: &[usize]) -> String {
    let Some((&count, inner)) = shape.split_first() else {
        return data.first().map(|value| format_element(value)).unwrap_or_default();
    };
    let shown =
        data.chunks(chunk_len(data, count)).take(MAX_ITEMS).map(|part| format_values(part, inner));
    let mut items: Vec<_> = shown.collect();
    if count > MAX_ITEMS {
        items.push(format!("… {} more", count - MAX_ITEMS));
    }
    format!("[{}]", items.join(", "))
}

/// The elements in each of `count` chunks; at least one, whatever the server claims.
fn chunk_len(data: &[&RawValue], count: usize) -> usize {
    (data.len() / count.max(1)).max(1)
}

fn format_element(value: &RawValue) -> String {
    let Ok(text) = serde_json::from_str::<String>(value.get()) else {
        return to_printable(value.get());
    };
    let more = text.chars().count().saturating_sub(MAX_CHARACTERS);
    let cut: String = text.chars().take(MAX_CHARACTERS).collect();
    let rest = if more > 0 { format!("… {more} more") } else { String::new() };
    format!("{}{rest}", serde_json::Value::String(cut))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn shown(shape: &[usize], data: Value) -> Vec<String> {
        let output = json!({ "name": "y", "datatype": "FP64", "shape": shape, "data": data });
        format_response(json!({ "outputs": [output] }).to_string().as_bytes()).unwrap().split_off(1)
    }

    proptest! {
        #[test]
        fn a_number_is_shown_with_the_servers_own_digits(text in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?(e-?[0-9]{1,3})?") {
            let body = format!(r#"{{"outputs": [{{"name": "y", "datatype": "FP64", "shape": [1], "data": [{text}]}}]}}"#);
            prop_assert_eq!(&format_response(body.as_bytes()).unwrap()[1], &format!("  y FP64 [1]: [{text}]"));
        }
    }

    #[test]
    fn tensors_are_shown_by_their_shape() {
        assert_eq!(shown(&[], json!([1.5])), ["  y FP64 []: 1.5"]);
        assert_eq!(shown(&[2], json!([1, "a"])), [r#"  y FP64 [2]: [1, "a"]"#]);
        assert_eq!(shown(&[0], json!([])), ["  y FP64 [0]: []"]);
        assert_eq!(shown(&[0, 3], json!([])), ["  y FP64 [0, 3]: []"]);
        assert_eq!(shown(&[1, 2], json!([1, 2])), ["  y FP64 [1, 2]: [1, 2]"]);
        assert_eq!(
            shown(&[2, 2], json!([1, 2, 3, 4])),
            ["  y FP64 [2, 2]:", "    [1, 2]", "    [3, 4]"]
        );
        assert_eq!(
            shown(&[1, 2, 2], json!([1, 2, 3, 4])),
            ["  y FP64 [1, 2, 2]: [[1, 2], [3, 4]]"]
        );
    }

    #[test]
    fn large_ones_are_cut() {
        let many: Vec<_> = (0..30).collect();
        assert!(shown(&[30], json!(many))[0].ends_with("8, 9, … 20 more]"));
        let lines = shown(&[15, 2], json!(many));
        assert_eq!((lines.len(), lines[11].as_str()), (12, "    … and 5 more"));
        assert!(shown(&[], json!(["x".repeat(300)]))[0].ends_with("x\"… 100 more"));
    }

    #[test]
    fn an_invalid_response_is_an_error() {
        for odd in ["", "null", "[]", r#"{"outputs": [1]}"#, r#"{"outputs": [{"shape": "x"}]}"#] {
            let error = format_response(odd.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("--json prints it as it came"), "{odd}: {error}");
        }
        shown(&[usize::MAX, 2], json!([1]));
    }
}
