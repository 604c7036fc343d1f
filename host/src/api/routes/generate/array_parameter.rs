//! An array as a parameter, such as `"stop": ["a", "b"]`.
//!
//! Model parameters are single values, so the model receives the array as JSON text.

use crate::api::json::{JsonError, Reader, write_string};

/// Reads an array of texts, numbers and booleans. Returns it as JSON without spaces.
pub(in crate::api) fn read(reader: &mut Reader<'_>) -> Result<String, JsonError> {
    let mut list = vec![b'['];
    reader.array(|reader| {
        if list.len() > 1 {
            list.push(b',');
        }
        element(reader, &mut list)
    })?;
    list.push(b']');

    String::from_utf8(list).map_err(|_| reader.error("the array is not UTF-8"))
}

fn element(reader: &mut Reader<'_>, list: &mut Vec<u8>) -> Result<(), JsonError> {
    match reader.peek() {
        Some(b'"') => write_string(list, &reader.string()?),
        Some(b't' | b'f') => {
            list.extend_from_slice(if reader.boolean()? { b"true" } else { b"false" })
        }
        Some(b'-' | b'0'..=b'9') => list.extend_from_slice(reader.number()?.text.as_bytes()),
        other => return Err(reader.expected("an array of texts, numbers, true and false", other)),
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<String, String> {
        read(&mut Reader::new(text.as_bytes()).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn array_becomes_json_text() {
        for (text, expected) in [
            ("[]", "[]"),
            (r#"[ "a" , "b\u0022\n" ]"#, r#"["a","b\"\n"]"#),
            (
                "[1, -2.50, 18446744073709551615, 1e3, true, false]",
                "[1,-2.50,18446744073709551615,1e3,true,false]",
            ),
        ] {
            let read = list(text).unwrap();
            assert_eq!(read, expected);
            let value = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(value(&read), value(text));
        }

        for wrong in ["[[]]", "[{}]", "[null]", "[1", "[,]"] {
            assert!(list(wrong).is_err(), "{wrong}");
        }
    }
}
