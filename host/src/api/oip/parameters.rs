//! The `parameters` object of a request, an input or an output.

use crate::api::json::{JsonError, Number, Reader, shorten};
use crate::model::{MAX_PARAMETERS, Parameter, ParameterValue, SessionControl};

/// A parsed parameter. The server removes its own; the others are for the model.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::api) struct RawParameter {
    pub(in crate::api) name: String,
    pub(in crate::api) value: RawValue,
}

/// A parameter's value. Server parameters may be larger integers than model parameters.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::api) enum RawValue {
    Boolean(bool),
    Whole(i128),
    Number(f64),
    Text(String),
}

/// True if the protocol reserves the parameter name for the server.
pub(in crate::api) fn is_reserved(name: &str) -> bool {
    const NAMES: [&str; 7] = [
        "binary_data_output",
        "headers",
        "priority",
        "sequence_end",
        "sequence_id",
        "sequence_start",
        "timeout",
    ];

    NAMES.contains(&name) || name.starts_with("triton_")
}

impl RawParameter {
    /// Converts the parameter for the model. Fails with a text for the caller if it is an integer
    /// beyond 64 bits signed.
    pub(in crate::api) fn into_model_parameter(self) -> Result<Parameter, String> {
        let value = match self.value {
            RawValue::Boolean(value) => ParameterValue::Boolean(value),
            RawValue::Whole(value) => ParameterValue::Integer(value.try_into().map_err(|_| {
                format!(
                    "'{}': the number is out of range; a model gets 64-bit signed integers",
                    shorten(&self.name)
                )
            })?),
            RawValue::Number(value) => ParameterValue::Number(value),
            RawValue::Text(value) => ParameterValue::Text(value),
        };

        Ok(Parameter { name: self.name, value })
    }
}

/// Reads an object of texts, numbers and booleans. A `null` value counts as absent, for MLServer's
/// client.
pub(in crate::api) fn read_parameters(
    reader: &mut Reader<'_>,
) -> Result<Vec<RawParameter>, JsonError> {
    let mut parameters: Vec<RawParameter> = Vec::new();
    if reader.null()? {
        return Ok(parameters);
    }

    reader.object(|reader, name| {
        if parameters.len() == MAX_PARAMETERS {
            return Err(reader.error(format!("there are more than {MAX_PARAMETERS} parameters")));
        }
        if parameters.iter().any(|earlier| earlier.name == name) {
            return Err(reader.error(format!("parameter '{}' is given twice", shorten(&name))));
        }
        let value = read_parameter(reader, &name)?;
        parameters.extend(value.map(|value| RawParameter { name: name.into_owned(), value }));
        Ok(())
    })?;

    Ok(parameters)
}

/// Fails with a text for the caller if a tensor is in shared memory.
pub(in crate::api) fn refuse_shared_memory(parameters: &[RawParameter]) -> Result<(), String> {
    if parameters.iter().any(|parameter| parameter.name.starts_with("shared_memory_")) {
        return Err("this server does not offer the shared memory extensions".into());
    }
    Ok(())
}

/// Removes a parameter and returns its value.
pub(in crate::api) fn take(parameters: &mut Vec<RawParameter>, name: &str) -> Option<RawValue> {
    let index = parameters.iter().position(|parameter| parameter.name == name)?;
    Some(parameters.swap_remove(index).value)
}

/// Removes a boolean parameter. Fails if it has another type.
pub(in crate::api) fn take_boolean(
    parameters: &mut Vec<RawParameter>,
    name: &str,
) -> Result<Option<bool>, String> {
    match take(parameters, name) {
        None => Ok(None),
        Some(RawValue::Boolean(value)) => Ok(Some(value)),
        Some(_) => Err(format!("parameter '{name}' must be true or false")),
    }
}

/// Removes an unsigned 64-bit integer parameter. Fails if it has another type or is out of range.
pub(in crate::api) fn take_unsigned(
    parameters: &mut Vec<RawParameter>,
    name: &str,
) -> Result<Option<u64>, String> {
    let Some(value) = take(parameters, name) else { return Ok(None) };
    let count = if let RawValue::Whole(value) = value { u64::try_from(value).ok() } else { None };
    count
        .map(Some)
        .ok_or_else(|| format!("parameter '{name}' must be a whole number from 0 to {}", u64::MAX))
}

/// Maximum length of a session id in bytes.
const MAX_SEQUENCE_ID: usize = 128;

/// Removes the session parameters. As in the protocol, the id 0 and an empty id mean no session; a
/// number and its decimal text are the same id. Fails with a text for the caller.
pub(in crate::api) fn take_sequence(
    parameters: &mut Vec<RawParameter>,
) -> Result<Option<SessionControl>, String> {
    let start = take_boolean(parameters, "sequence_start")?.unwrap_or(false);
    let end = take_boolean(parameters, "sequence_end")?.unwrap_or(false);
    let Some(value) = take(parameters, "sequence_id") else { return Ok(None) };

    let id = parse_sequence_id(value).ok_or_else(|| {
        format!(
            "parameter 'sequence_id' must be a whole number from 0 to {}, or a text of at most {MAX_SEQUENCE_ID} \
             bytes without control characters",
            u64::MAX
        )
    })?;

    Ok((!id.is_empty()).then_some(SessionControl { id, start, end }))
}

/// Returns the session id as text, empty for no session. `None` if the value is invalid.
fn parse_sequence_id(value: RawValue) -> Option<String> {
    match value {
        RawValue::Whole(0) => Some(String::new()),
        RawValue::Whole(id) => u64::try_from(id).ok().map(|id| id.to_string()),
        RawValue::Text(id) => {
            Some(id).filter(|id| id.len() <= MAX_SEQUENCE_ID && !id.chars().any(char::is_control))
        }
        RawValue::Boolean(_) | RawValue::Number(_) => None,
    }
}

/// Reads the value of a parameter; `None` if it is `null` or ignored.
pub(in crate::api) fn read_parameter(
    reader: &mut Reader<'_>,
    name: &str,
) -> Result<Option<RawValue>, JsonError> {
    read_value(reader, name).map_err(|error| error.in_context(format!("'{}'", shorten(name))))
}

fn read_value(reader: &mut Reader<'_>, name: &str) -> Result<Option<RawValue>, JsonError> {
    // Some clients put transport headers here. They are ignored.
    if name == "headers" {
        return reader.skip().map(|()| None);
    }

    Ok(match reader.peek() {
        Some(b'n') if reader.null()? => None,
        Some(b't' | b'f') => Some(RawValue::Boolean(reader.boolean()?)),
        Some(b'"') => Some(RawValue::Text(reader.string()?.into_owned())),
        Some(b'-' | b'0'..=b'9') => {
            let number = reader.number()?;
            Some(number_value(number).ok_or_else(|| reader.error("the number is out of range"))?)
        }
        other => return Err(reader.expected("a text, a number, true or false", other)),
    })
}

fn number_value(number: Number<'_>) -> Option<RawValue> {
    if number.is_whole() {
        return number.integer().map(RawValue::Whole);
    }

    let value = number.float64();
    value.is_finite().then_some(RawValue::Number(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(text: &str) -> Result<Option<SessionControl>, String> {
        let mut parameters = read_parameters(&mut Reader::new(text.as_bytes()).unwrap()).unwrap();
        let taken = take_sequence(&mut parameters);
        assert!(taken.is_err() || parameters.is_empty(), "nothing of it is left for the model");

        taken
    }

    #[test]
    fn session_id_is_a_number_or_a_text() {
        let named = |id: &str, start, end| Ok(Some(SessionControl { id: id.into(), start, end }));
        assert_eq!(
            sequence(r#"{"sequence_id": 7, "sequence_start": true}"#),
            named("7", true, false)
        );
        assert_eq!(
            sequence(r#"{"sequence_end": true, "sequence_id": "a b"}"#),
            named("a b", false, true)
        );

        for none in
            ["{}", r#"{"sequence_id": 0}"#, r#"{"sequence_id": ""}"#, r#"{"sequence_start": true}"#]
        {
            assert_eq!(sequence(none), Ok(None), "{none}");
        }

        assert_eq!(
            sequence(r#"{"sequence_id": 18446744073709551615}"#),
            named("18446744073709551615", false, false)
        );
        assert_eq!(
            sequence(r#"{"sequence_id": 9007199254740993}"#),
            named("9007199254740993", false, false)
        );
        assert_eq!(sequence(r#"{"sequence_id": 1}"#), sequence(r#"{"sequence_id": "1"}"#));

        let long = format!(r#"{{"sequence_id": "{}"}}"#, "x".repeat(MAX_SEQUENCE_ID + 1));
        let beyond = r#"{"sequence_id": 18446744073709551616}"#;

        for wrong in [
            beyond,
            r#"{"sequence_id": -1}"#,
            r#"{"sequence_id": 1e3}"#,
            r#"{"sequence_id": 1.5}"#,
            r#"{"sequence_id": "a\u0000"}"#,
            &long,
        ] {
            assert!(sequence(wrong).unwrap_err().contains("sequence_id"), "{wrong}");
        }

        assert!(sequence(r#"{"sequence_id": 1, "sequence_end": 1}"#).is_err());
    }

    #[test]
    fn take_count_accepts_unsigned_64_bit_integers() {
        let read = |value: &str| {
            let text = format!("{{\"priority\": {value}}}");
            let mut reader = Reader::new(text.as_bytes()).unwrap();
            let mut parameters = read_parameters(&mut reader).map_err(|error| error.to_string())?;
            take_unsigned(&mut parameters, "priority")
        };

        for count in [0, 1, (1 << 53) + 1, u64::MAX] {
            assert_eq!(read(&count.to_string()), Ok(Some(count)));
        }

        for wrong in ["-1", "1.0", "1e3", "\"1\"", "true", "18446744073709551616", &"9".repeat(60)]
        {
            let error = read(wrong).unwrap_err();
            assert!(error.contains("'priority'"), "{wrong}: {error}");
        }
    }

    #[test]
    fn model_integers_are_signed_64_bit() {
        let given = |value| {
            RawParameter { name: "a".into(), value }
                .into_model_parameter()
                .map(|parameter| parameter.value)
        };

        assert_eq!(given(RawValue::Whole(i64::MIN.into())), Ok(ParameterValue::Integer(i64::MIN)));
        assert!(
            given(RawValue::Whole(1 << 63))
                .unwrap_err()
                .contains("'a': the number is out of range")
        );
    }
}
