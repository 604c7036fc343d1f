use super::{Format, Value, read};

fn ubjson(bytes: &[u8]) -> Result<Value, String> {
    let mut object = read(bytes, Format::XgboostUbjson).map_err(|error| error.to_string())?;
    Ok(object.remove("a").unwrap_or(Value::Null))
}

/// Reads a value of a field.
fn field(bytes: &[u8]) -> Result<Value, String> {
    ubjson(&[b"{U\x01a", bytes, b"}"].concat())
}

#[test]
fn every_type_of_number_is_read() {
    let numbers: [(&[u8], Value); 12] = [
        (b"i\xFF", Value::Integer(-1)),
        (b"U\xFF", Value::Integer(255)),
        (b"I\xFF\xFE", Value::Integer(-2)),
        (b"l\x80\0\0\0", Value::Integer(i32::MIN.into())),
        (b"L\x80\0\0\0\0\0\0\0", Value::Integer(i64::MIN)),
        (b"d\x3F\xC0\0\0", Value::Number(1.5)),
        (b"D\x3F\xF8\0\0\0\0\0\0", Value::Number(1.5)),
        (b"Hi\x0212", Value::Integer(12)),
        (b"Hi\x041e-3", Value::Number(0.001)),
        (b"CA", Value::Integer(65)),
        (b"T", Value::Integer(1)),
        (b"NNZ", Value::Null),
    ];
    for (bytes, value) in numbers {
        assert_eq!(field(bytes), Ok(value), "{}", bytes.escape_ascii());
    }
}

#[test]
fn containers_may_have_a_count_and_a_type() {
    let arrays: [(&[u8], Value); 9] = [
        (b"[]", Value::Integers(vec![])),
        (b"[i\x01i\x02]", Value::Integers(vec![1, 2])),
        (b"[#U\x02i\x01i\x02", Value::Integers(vec![1, 2])),
        (b"[$i#U\x02\x01\xFF", Value::Integers(vec![1, -1])),
        (b"[$I#i\x01\x01\x00", Value::Integers(vec![256])),
        (b"[$d#i\x01\x3F\xC0\0\0", Value::Numbers(vec![1.5])),
        (b"[i\x01d\x3F\xC0\0\0]", Value::Numbers(vec![1.0, 1.5])),
        (b"[$S#i\x02i\x01xi\x01y", Value::Array(vec!["x", "y"].into_iter().map(text).collect())),
        (
            b"[$[#i\x02]i\x01]",
            Value::Array(vec![Value::Integers(vec![]), Value::Integers(vec![1])]),
        ),
    ];
    for (bytes, value) in arrays {
        assert_eq!(field(bytes), Ok(value), "{}", bytes.escape_ascii());
    }
    assert_eq!(ubjson(b"{$i#i\x01i\x01a\x07"), Ok(Value::Integer(7)));
    assert_eq!(ubjson(b"{#i\x01i\x01aT"), Ok(Value::Integer(1)));
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn lengths_that_lie_are_refused_before_anything_is_allocated() {
    let huge = b"L\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF";
    for start in [&b"[$d#"[..], b"[$U#", b"[#", b"{#", b"S", b"H", b"[$[#", b"[$S#"] {
        let refused = field(&[start, huge].concat());
        assert!(refused.as_ref().is_err_and(|text| text.contains("bytes left")), "{refused:?}");
    }
    for bytes in [&b"Si\xFF"[..], b"[#i\xFF", b"[$d#i\x80"] {
        assert!(field(bytes).is_err_and(
            |text| text.contains("a length of -1") || text.contains("a length of -128")
        ));
    }
    // Elements without bytes are bounded by nothing.
    for kind in [b'T', b'F', b'Z'] {
        assert!(field(&[b'[', b'$', kind, b'#', b'U', 1]).is_err());
    }
    assert!(field(b"[$d#U\x03\0\0\0\0").is_err_and(|text| text.contains("ends too early")));
    assert!(field(b"[$dU").is_err_and(|text| text.contains("no count")));
}

#[test]
fn what_is_no_value_is_refused() {
    for bytes in [&b"x"[..], b"", b"Si\x01\xFF", b"Hi\x01x", b"{i\x01aTi\x01aT}"] {
        assert!(field(bytes).is_err(), "{}", bytes.escape_ascii());
    }
    assert!(ubjson(b"{}\0").is_err_and(|text| text.contains("after the end")));
    assert!(ubjson(b"i\x01").is_err_and(|text| text.contains("not an object")));
}

#[test]
fn words_inside_texts_stay() {
    let json = br#"{"a": "NaN \" Infinity", "b": [NaN, -Infinity, Infinity, 1], "NaN": 1}"#;
    let object = read(json, Format::XgboostJson).unwrap();
    assert_eq!(object.get("a"), Some(&text("NaN \" Infinity")));
    assert_eq!(object.get("NaN"), Some(&Value::Integer(1)));
    let numbers = object.get("b").cloned().and_then(Value::into_numbers).unwrap();
    assert!(numbers[0].is_nan());
    assert_eq!(numbers[1..], [f32::NEG_INFINITY, f32::INFINITY, 1.0]);
}

#[test]
fn other_words_are_no_json() {
    for json in ["{\"a\": Nan}", "{\"a\": Inf}", "{\"a\": N", "{\"a\": I", "{\"a\": nan}"] {
        assert!(read(json.as_bytes(), Format::XgboostJson).is_err(), "{json}");
    }
}
