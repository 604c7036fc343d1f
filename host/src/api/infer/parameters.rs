//! The `parameters` object of a request, an input or an output.

use crate::api::json::{Fault, Number, Reader, shorten};
use crate::model::{MAX_PARAMETERS, Parameter, ParameterValue, Sequence};

/// Reads an object of texts, numbers and booleans. `null` counts as absent, as MLServer's client means it.
pub(super) fn read_parameters(reader: &mut Reader<'_>) -> Result<Vec<Parameter>, Fault> {
    let mut parameters: Vec<Parameter> = Vec::new();
    if reader.null()? {
        return Ok(parameters);
    }
    reader.object(|reader, name| {
        if parameters.len() == MAX_PARAMETERS {
            return Err(reader.fault(format!("there are more than {MAX_PARAMETERS} parameters")));
        }
        if parameters.iter().any(|earlier| earlier.name == name) {
            return Err(reader.fault(format!("parameter '{}' is given twice", shorten(&name))));
        }
        let value = read_parameter(reader, &name)?;
        parameters.extend(value.map(|value| Parameter { name: name.into_owned(), value }));
        Ok(())
    })?;
    Ok(parameters)
}

/// Takes the parameter of that name out.
pub(super) fn take(parameters: &mut Vec<Parameter>, name: &str) -> Option<ParameterValue> {
    let index = parameters.iter().position(|parameter| parameter.name == name)?;
    Some(parameters.swap_remove(index).value)
}

/// Takes a boolean out. Fails if it is something else.
pub(super) fn take_boolean(parameters: &mut Vec<Parameter>, name: &str) -> Result<Option<bool>, String> {
    match take(parameters, name) {
        None => Ok(None),
        Some(ParameterValue::Boolean(value)) => Ok(Some(value)),
        Some(_) => Err(format!("parameter '{name}' must be true or false")),
    }
}

/// Takes a whole number of 0 or above out. Fails if it is something else.
pub(super) fn take_count(parameters: &mut Vec<Parameter>, name: &str) -> Result<Option<u64>, String> {
    let not_a_count = || format!("parameter '{name}' must be a whole number of 0 or above");
    match take(parameters, name) {
        None => Ok(None),
        Some(ParameterValue::Integer(value)) => u64::try_from(value).map(Some).map_err(|_| not_a_count()),
        Some(_) => Err(not_a_count()),
    }
}

/// The longest name of a sequence, in bytes.
const MAX_SEQUENCE_ID: usize = 128;

/// Takes out what says to which sequence a request belongs. As in the protocol, an id of 0 or of no text is none.
/// Fails with a text for the caller.
pub(in crate::api) fn take_sequence(parameters: &mut Vec<Parameter>) -> Result<Option<Sequence>, String> {
    let start = take_boolean(parameters, "sequence_start")?.unwrap_or(false);
    let end = take_boolean(parameters, "sequence_end")?.unwrap_or(false);
    let id = match take(parameters, "sequence_id") {
        None | Some(ParameterValue::Integer(0)) => return Ok(None),
        Some(ParameterValue::Integer(id)) if id > 0 => id.to_string(),
        Some(ParameterValue::Text(id)) if id.len() <= MAX_SEQUENCE_ID && !id.chars().any(char::is_control) => id,
        Some(_) => {
            return Err(format!(
                "parameter 'sequence_id' must be a whole number of 0 or above, or a text of at most \
                 {MAX_SEQUENCE_ID} bytes without control characters"
            ));
        }
    };
    Ok((!id.is_empty()).then_some(Sequence { id, start, end }))
}

/// Reads the value of the parameter of that name; `None` if there is none after all.
pub(in crate::api) fn read_parameter(reader: &mut Reader<'_>, name: &str) -> Result<Option<ParameterValue>, Fault> {
    read_value(reader, name).map_err(|fault| fault.within(format!("'{}'", shorten(name))))
}

fn read_value(reader: &mut Reader<'_>, name: &str) -> Result<Option<ParameterValue>, Fault> {
    // Transport headers that some clients put here; nothing reads them.
    if name == "headers" {
        return reader.skip().map(|()| None);
    }
    Ok(match reader.peek() {
        Some(b'n') if reader.null()? => None,
        Some(b't' | b'f') => Some(ParameterValue::Boolean(reader.boolean()?)),
        Some(b'"') => Some(ParameterValue::Text(reader.string()?.into_owned())),
        Some(b'-' | b'0'..=b'9') => {
            let number = reader.number()?;
            Some(number_value(number).ok_or_else(|| reader.fault("the number is out of range"))?)
        }
        other => return Err(reader.expected("a text, a number, true or false", other)),
    })
}

fn number_value(number: Number<'_>) -> Option<ParameterValue> {
    if number.is_whole() {
        return number.integer()?.try_into().ok().map(ParameterValue::Integer);
    }
    let value = number.float64();
    value.is_finite().then_some(ParameterValue::Number(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(text: &str) -> Result<Option<Sequence>, String> {
        let mut parameters = read_parameters(&mut Reader::new(text.as_bytes()).unwrap()).unwrap();
        let taken = take_sequence(&mut parameters);
        assert!(taken.is_err() || parameters.is_empty(), "nothing of it is left for the model");
        taken
    }

    #[test]
    fn a_sequence_is_named_by_a_number_or_a_text() {
        let named = |id: &str, start, end| Ok(Some(Sequence { id: id.into(), start, end }));
        assert_eq!(sequence(r#"{"sequence_id": 7, "sequence_start": true}"#), named("7", true, false));
        assert_eq!(sequence(r#"{"sequence_end": true, "sequence_id": "a b"}"#), named("a b", false, true));
        for none in ["{}", r#"{"sequence_id": 0}"#, r#"{"sequence_id": ""}"#, r#"{"sequence_start": true}"#] {
            assert_eq!(sequence(none), Ok(None), "{none}");
        }
        let long = format!(r#"{{"sequence_id": "{}"}}"#, "x".repeat(MAX_SEQUENCE_ID + 1));
        for wrong in [r#"{"sequence_id": -1}"#, r#"{"sequence_id": 1.5}"#, r#"{"sequence_id": "a\u0000"}"#, &long] {
            assert!(sequence(wrong).unwrap_err().contains("sequence_id"), "{wrong}");
        }
        assert!(sequence(r#"{"sequence_id": 1, "sequence_end": 1}"#).is_err());
    }
}
