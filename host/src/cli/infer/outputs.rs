//! How an answer is shown to people.

use serde_json::Value;

use crate::cli::describe::plain;

/// Items of one dimension that are shown; of more, the first so many.
const ITEMS: usize = 10;

/// Characters of one text that are shown.
const CHARACTERS: usize = 200;

/// The lines that show a response.
pub(super) fn lines(response: &Value) -> Vec<String> {
    let text = |key: &str| response[key].as_str().map(plain);
    let version = text("model_version").map(|version| format!(" version {version}")).unwrap_or_default();
    let mut lines = vec![format!("{}{version}", text("model_name").unwrap_or_default())];
    for (name, value) in response["parameters"].as_object().into_iter().flatten() {
        lines.push(format!("  parameter {}: {}", plain(name), element(value)));
    }
    for output in response["outputs"].as_array().into_iter().flatten() {
        lines.extend(tensor(output));
    }
    lines
}

fn tensor(output: &Value) -> Vec<String> {
    let text = |key: &str| output[key].as_str().map(plain).unwrap_or_default();
    let shape: Vec<usize> = output["shape"].as_array().into_iter().flatten().filter_map(extent).collect();
    let data = output["data"].as_array().map_or(&[][..], Vec::as_slice);
    let head = format!("  {} {} {shape:?}", text("name"), text("datatype"));
    let body = match shape.as_slice() {
        // One row a line reads well for what most models answer.
        [count, inner @ ..] if !inner.is_empty() && !data.is_empty() => rows(data, *count, inner),
        shape => vec![values(data, shape)],
    };
    match body.as_slice() {
        [line] => vec![format!("{head}: {line}")],
        lines => [vec![format!("{head}:")], lines.iter().map(|line| format!("    {line}")).collect()].concat(),
    }
}

fn extent(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|extent| usize::try_from(extent).ok())
}

fn rows(data: &[Value], count: usize, inner: &[usize]) -> Vec<String> {
    let rows = data.chunks(part(data, count)).take(ITEMS);
    let mut lines: Vec<_> = rows.map(|row| values(row, inner)).collect();
    if count > ITEMS {
        lines.push(format!("… and {} more", count - ITEMS));
    }
    lines
}

/// Elements as nested arrays, long ones cut.
fn values(data: &[Value], shape: &[usize]) -> String {
    let Some((&count, inner)) = shape.split_first() else {
        return data.first().map(element).unwrap_or_default();
    };
    let shown = data.chunks(part(data, count)).take(ITEMS).map(|part| values(part, inner));
    let mut items: Vec<_> = shown.collect();
    if count > ITEMS {
        items.push(format!("… {} more", count - ITEMS));
    }
    format!("[{}]", items.join(", "))
}

/// How many elements each of `count` parts has; never none, whatever the server said.
fn part(data: &[Value], count: usize) -> usize {
    (data.len() / count.max(1)).max(1)
}

fn element(value: &Value) -> String {
    let Value::String(text) = value else { return value.to_string() };
    let more = text.chars().count().saturating_sub(CHARACTERS);
    let cut: String = text.chars().take(CHARACTERS).collect();
    let rest = if more > 0 { format!("… {more} more") } else { String::new() };
    format!("{}{rest}", Value::String(cut))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(shape: &[usize], data: Value) -> Vec<String> {
        tensor(&json!({"name": "y", "datatype": "FP64", "shape": shape, "data": data}))
    }

    #[test]
    fn tensors_are_shown_by_their_shape() {
        assert_eq!(shown(&[], json!([1.5])), ["  y FP64 []: 1.5"]);
        assert_eq!(shown(&[2], json!([1, "a"])), [r#"  y FP64 [2]: [1, "a"]"#]);
        assert_eq!(shown(&[0], json!([])), ["  y FP64 [0]: []"]);
        assert_eq!(shown(&[0, 3], json!([])), ["  y FP64 [0, 3]: []"]);
        assert_eq!(shown(&[1, 2], json!([1, 2])), ["  y FP64 [1, 2]: [1, 2]"]);
        assert_eq!(shown(&[2, 2], json!([1, 2, 3, 4])), ["  y FP64 [2, 2]:", "    [1, 2]", "    [3, 4]"]);
        assert_eq!(shown(&[1, 2, 2], json!([1, 2, 3, 4])), ["  y FP64 [1, 2, 2]: [[1, 2], [3, 4]]"]);
    }

    #[test]
    fn large_ones_are_cut() {
        let many: Vec<_> = (0..30).collect();
        assert!(shown(&[30], json!(many))[0].ends_with("8, 9, … 20 more]"));
        let lines = shown(&[15, 2], json!(many));
        assert_eq!((lines.len(), lines[11].as_str()), (12, "    … and 5 more"));
        assert!(element(&json!("x".repeat(300))).ends_with("x\"… 100 more"));
    }

    #[test]
    fn an_answer_that_is_out_of_its_mind_is_survived() {
        for odd in [json!(null), json!({"outputs": [1, {"shape": [usize::MAX, 2], "data": [1]}, {"shape": "x"}]})] {
            lines(&odd);
        }
    }
}
