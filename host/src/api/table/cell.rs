//! One cell of a table in JSON. Types are converted only where nothing is lost.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::super::json::{JsonError, Reader, shorten};
use super::super::oip::element::{
    ElementNotation, Float, ProtocolNotation, ReadElement, reader_of,
};
use crate::model::{Datatype, push_bytes_element};

/// Returns the reader of an element. Other than in the protocol, whole numbers may be written with
/// a fraction of 0 or an exponent, `true` and `false` are 1 and 0 in numbers, `null` is NaN in
/// floating-point numbers, and bytes may be base64 in `{"b64": …}`.
pub(super) fn lenient_reader(datatype: Datatype) -> ReadElement {
    reader_of::<LenientNotation>(datatype)
}

/// Appends NaN. Returns false for a datatype that has none.
pub(super) fn push_nan(data: &mut Vec<u8>, datatype: Datatype) -> bool {
    match datatype {
        Datatype::Fp16 => data.extend_from_slice(&half::f16::NAN.to_le_bytes()),
        Datatype::Bf16 => data.extend_from_slice(&half::bf16::NAN.to_le_bytes()),
        Datatype::Fp32 => data.extend_from_slice(&f32::NAN.to_le_bytes()),
        Datatype::Fp64 => data.extend_from_slice(&f64::NAN.to_le_bytes()),
        _ => return false,
    }
    true
}

/// Reads true or false, if the next value is one of them.
fn boolean(reader: &mut Reader<'_>) -> Result<Option<bool>, JsonError> {
    match reader.peek() {
        Some(b't' | b'f') => reader.boolean().map(Some),
        _ => Ok(None),
    }
}

struct LenientNotation;

impl ElementNotation for LenientNotation {
    fn integer<T: TryFrom<i128>>(reader: &mut Reader<'_>) -> Result<T, JsonError> {
        if let Some(value) = boolean(reader)? {
            let number = T::try_from(i128::from(value)).ok();
            return number.ok_or_else(|| reader.error("true is no number of the datatype"));
        }

        let number = reader.number()?;
        let value = number.whole_value().and_then(|value| T::try_from(value).ok());
        value.ok_or_else(|| {
            reader.error(format!(
                "{} is not a whole number in the datatype's range",
                shorten(number.text)
            ))
        })
    }

    fn float<T: Float>(reader: &mut Reader<'_>) -> Result<T, JsonError> {
        if reader.null()? {
            return Ok(T::NAN);
        }
        if let Some(value) = boolean(reader)? {
            return Ok(T::from_f64(f64::from(u8::from(value))));
        }

        let next = reader.peek();
        ProtocolNotation::float(reader).map_err(|error| match next {
            Some(b'N' | b'I') => {
                reader.error("there is no NaN or Infinity here; null stands for NaN")
            }
            _ => error,
        })
    }

    fn bytes(reader: &mut Reader<'_>, data: &mut Vec<u8>) -> Result<(), JsonError> {
        if reader.peek() != Some(b'{') {
            return ProtocolNotation::bytes(reader, data);
        }

        let mut decoded = None;
        reader.object_with_keys(&["b64"], |reader, _| {
            let text = reader.string()?;
            let bytes = BASE64_STANDARD.decode(text.as_bytes());
            decoded = Some(bytes.map_err(|_| reader.error("'b64' is not standard base64"))?);
            Ok(())
        })?;

        let bytes = decoded.ok_or_else(|| reader.error("expected a text or {\"b64\": text}"))?;
        push_bytes_element(data, &bytes).map_err(|error| reader.error(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(datatype: Datatype, text: &str) -> Result<Vec<u8>, String> {
        let mut data = Vec::new();
        let mut reader = Reader::new(text.as_bytes()).unwrap();
        let read = lenient_reader(datatype)(&mut reader, &mut data);
        read.map(|()| data).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_lost_in_a_conversion() {
        for text in ["5", "5.0", "50e-1"] {
            assert_eq!(read(Datatype::Int64, text), Ok(5i64.to_le_bytes().into()), "{text}");
        }
        for text in ["5.5", "1e30", "True", "\"5\"", "null", "9223372036854775808", "[5]"] {
            assert!(read(Datatype::Int64, text).is_err(), "{text}");
        }

        assert_eq!(read(Datatype::Fp32, "3"), Ok(3f32.to_le_bytes().into()));
        for text in ["True", "\"3\"", "1e39", "NaN", "\"NaN\""] {
            assert!(read(Datatype::Fp32, text).is_err(), "{text}");
        }
        for datatype in Datatype::ALL.into_iter().filter(|datatype| *datatype != Datatype::Bytes) {
            let one = if datatype == Datatype::Bool { "true" } else { "1" };
            assert_eq!(read(datatype, "true"), read(datatype, one), "{datatype}");
            assert!(read(datatype, "false").unwrap().iter().all(|byte| *byte == 0), "{datatype}");
        }
        for text in ["1", "0", "\"true\"", "null"] {
            assert!(read(Datatype::Bool, text).is_err(), "{text}");
        }
    }

    #[test]
    fn null_is_nan_only_for_floats() {
        let nan = read(Datatype::Fp64, "null").unwrap();
        assert!(f64::from_le_bytes(nan.try_into().unwrap()).is_nan());

        for datatype in Datatype::ALL {
            let mut data = Vec::new();
            assert_eq!(push_nan(&mut data, datatype), read(datatype, "null").is_ok(), "{datatype}");
        }
    }

    #[test]
    fn bytes_are_texts_or_base64() {
        for text in [r#""cat""#, r#"{"b64": "Y2F0"}"#] {
            assert_eq!(read(Datatype::Bytes, text), Ok(b"\x03\0\0\0cat".to_vec()), "{text}");
        }
        for text in ["{}", r#"{"b64": "Y2F"}"#, r#"{"b64": 1}"#, r#"{"b65": ""}"#, "7", "true"] {
            assert!(read(Datatype::Bytes, text).is_err(), "{text}");
        }
    }
}
