//! Values of a TOML file as JSON.

use serde_json::Value;
use toml::de::DeValue;

/// Returns a value as JSON. Fails for dates and for numbers that are not finite, which JSON does
/// not have.
pub(super) fn to_json(value: &DeValue<'_>) -> Result<String, String> {
    convert(value).map(|value| value.to_string())
}

fn convert(value: &DeValue<'_>) -> Result<Value, String> {
    match value {
        DeValue::String(text) => Ok(Value::from(text.to_string())),
        DeValue::Boolean(value) => Ok(Value::from(*value)),
        DeValue::Integer(integer) => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix());
            number.map(Value::from).map_err(|_| format!("{} is out of range", integer.as_str()))
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            number.map(Value::Number).ok_or_else(|| "JSON has no such number".into())
        }
        DeValue::Array(list) => list.iter().map(|item| convert(item.get_ref())).collect(),
        DeValue::Table(table) => {
            let members = table.iter().map(|(key, value)| {
                convert(value.get_ref()).map(|value| (key.get_ref().to_string(), value))
            });
            members.collect::<Result<_, _>>().map(Value::Object)
        }
        DeValue::Datetime(_) => Err("JSON has no dates; write a text".into()),
    }
}
