//! The reader of JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{ArrayBuilder, ObjectBuilder, Value, is_skipped, shown};

/// The mark of the byte order, which some editors put first.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads a text of JSON.
pub(super) fn read(text: &[u8]) -> Result<Value, serde_json::Error> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    serde_json::from_slice(&with_plain_numbers(text))
}

/// Writes the numbers that XGBoost writes and JSON lacks as others: `NaN` as null, `Infinity` as a
/// number that is infinite as a float.
fn with_plain_numbers(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = find_word(text, 0) else { return Cow::Borrowed(text) };
    let mut plain = text.get(..first).unwrap_or_default().to_vec();
    let mut at = first;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let (word, number): (&[u8], &[u8]) =
            if rest.starts_with(b"NaN") { (b"NaN", b"null") } else { (b"Infinity", b"1e300") };
        // Any other word is left for the parser to refuse.
        let written = if rest.starts_with(word) { number } else { rest.get(..1).unwrap_or(rest) };
        let consumed = if rest.starts_with(word) { word.len() } else { 1 };
        plain.extend_from_slice(written);
        let next = find_word(text, at + consumed).unwrap_or(text.len());
        plain.extend_from_slice(text.get(at + consumed..next).unwrap_or_default());
        if next >= text.len() {
            return Cow::Owned(plain);
        }
        at = next;
    }
}

/// Returns the index of the next `N` or `I` outside of texts, from `start`, which is outside too.
fn find_word(text: &[u8], start: usize) -> Option<usize> {
    let mut inside = false;
    let mut escaped = false;
    for (index, byte) in text.iter().enumerate().skip(start) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b'N' | b'I' if !inside => return Some(index),
            _ => {}
        }
    }
    None
}

// === impl Value ===

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, boolean: bool) -> Result<Value, E> {
        Ok(Value::Integer(boolean.into()))
    }

    fn visit_i64<E>(self, integer: i64) -> Result<Value, E> {
        Ok(Value::Integer(integer))
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<Value, E> {
        let integer = i64::try_from(integer);
        integer.map(Value::Integer).map_err(|_| E::custom("a whole number beyond 64 bits"))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number as f32))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = ArrayBuilder::new();
        while let Some(element) = elements.next_element()? {
            array.push(element).map_err(A::Error::custom)?;
        }
        Ok(array.build())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = ObjectBuilder::default();
        while let Some(field) = entries.next_key::<String>()? {
            let value = if is_skipped(&field) {
                entries.next_value::<IgnoredAny>().map(|_| Value::Null)?
            } else {
                entries.next_value()?
            };
            object.push(field, value);
        }
        let object = object.build().map_err(|field| {
            A::Error::custom(format_args!("the field {} appears twice", shown(&field)))
        })?;
        Ok(Value::Object(object))
    }
}
