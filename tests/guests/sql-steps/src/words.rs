//! The notation of values, rows and errors in tests.

use wardian_sdk::sql::{Row, Rows, SqlError, Value};

/// Parses `null`, `b:true`, `i:42`, `r:1.5`, `t:text` or `x:00ff`.
pub(crate) fn parse(text: &str) -> Option<Value> {
    if text == "null" {
        return Some(Value::Null);
    }
    let (kind, rest) = text.split_once(':')?;
    match kind {
        "b" => rest.parse().ok().map(Value::Boolean),
        "i" => rest.parse().ok().map(Value::Integer),
        "r" => rest.parse().ok().map(Value::Real),
        "t" => Some(Value::Text(rest.to_owned())),
        "x" => bytes(rest).map(Value::Blob),
        _ => None,
    }
}

/// Writes a value in that notation.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(boolean) => format!("b:{boolean}"),
        Value::Integer(integer) => format!("i:{integer}"),
        Value::Real(real) => format!("r:{real:?}"),
        Value::Text(text) => format!("t:{text}"),
        Value::Blob(bytes) => {
            format!("x:{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    }
}

/// Writes rows: commas between values, semicolons between rows.
pub(crate) fn show_rows(rows: &Rows) -> String {
    let row = |row: &Row| row.values().iter().map(show).collect::<Vec<_>>().join(",");
    rows.iter().map(row).collect::<Vec<_>>().join(";")
}

pub(crate) fn show_error(error: &SqlError) -> String {
    match error {
        SqlError::Invalid(text) => format!("invalid: {text}"),
        SqlError::Constraint(text) => format!("constraint: {text}"),
        SqlError::Busy => "busy".to_owned(),
        SqlError::Limit(text) => format!("limit: {text}"),
        SqlError::Denied(text) => format!("denied: {text}"),
        SqlError::Unavailable(text) => format!("unavailable: {text}"),
    }
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = (0..digits.len()).step_by(2).map(|start| digits.get(start..start + 2));
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}
