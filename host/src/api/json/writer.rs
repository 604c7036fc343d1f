//! Writers for JSON strings and numbers.

use crate::model::push_hex;

/// Appends a text in quotes, escaped.
pub(in crate::api) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');

    let bytes = text.as_bytes();
    let mut written = 0;

    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(bytes.get(written..at).unwrap_or_default());
        write_escape(out, byte);
        written = at + 1;
    }

    out.extend_from_slice(bytes.get(written..).unwrap_or_default());
    out.push(b'"');
}

/// Appends an integer.
#[inline]
pub(in crate::api) fn write_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends the shortest decimal that reads back as the same float. The value must be finite,
/// because JSON has no other numbers.
#[inline]
pub(in crate::api) fn write_float(out: &mut Vec<u8>, value: impl zmij::Float) {
    out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        other => {
            out.extend_from_slice(b"\\u00");
            push_hex(out, &[other]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn written_values_read_back(text in any::<String>(), float in any::<f64>(), integer in any::<i64>()) {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            out.clear();
            write_integer(&mut out, integer);
            prop_assert_eq!(serde_json::from_slice::<i64>(&out).unwrap(), integer);

            if float.is_finite() {
                out.clear();
                write_float(&mut out, float);
                prop_assert_eq!(std::str::from_utf8(&out).unwrap().parse::<f64>().unwrap().to_bits(), float.to_bits());
            }
        }
    }
}
