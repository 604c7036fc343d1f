//! One cell of a table in CSV, which has only texts.

use half::{bf16, f16};

use super::super::json::{shorten, whole_value};
use crate::model::{Datatype, push_bytes_element};

/// Appends the value of a cell that is not empty, or a text. Fails with a text for the caller.
pub(super) fn append(text: &str, datatype: Datatype, data: &mut Vec<u8>) -> Result<(), String> {
    let trimmed = text.trim();
    match datatype {
        Datatype::Bytes => return push_bytes_element(data, text.as_bytes()),
        Datatype::Bool => data.push(u8::from(boolean(trimmed)?)),
        Datatype::Uint8 => data.extend_from_slice(&integer::<u8>(trimmed)?.to_le_bytes()),
        Datatype::Uint16 => data.extend_from_slice(&integer::<u16>(trimmed)?.to_le_bytes()),
        Datatype::Uint32 => data.extend_from_slice(&integer::<u32>(trimmed)?.to_le_bytes()),
        Datatype::Uint64 => data.extend_from_slice(&integer::<u64>(trimmed)?.to_le_bytes()),
        Datatype::Int8 => data.extend_from_slice(&integer::<i8>(trimmed)?.to_le_bytes()),
        Datatype::Int16 => data.extend_from_slice(&integer::<i16>(trimmed)?.to_le_bytes()),
        Datatype::Int32 => data.extend_from_slice(&integer::<i32>(trimmed)?.to_le_bytes()),
        Datatype::Int64 => data.extend_from_slice(&integer::<i64>(trimmed)?.to_le_bytes()),
        Datatype::Fp16 => {
            let value = f16::from_f64(float(trimmed)?);
            data.extend_from_slice(&finite(trimmed, value, value.is_finite())?.to_le_bytes());
        }
        Datatype::Bf16 => {
            let value = bf16::from_f64(float(trimmed)?);
            data.extend_from_slice(&finite(trimmed, value, value.is_finite())?.to_le_bytes());
        }
        Datatype::Fp32 => {
            let value: f32 = float(trimmed)?;
            data.extend_from_slice(&finite(trimmed, value, value.is_finite())?.to_le_bytes());
        }
        Datatype::Fp64 => {
            let value: f64 = float(trimmed)?;
            data.extend_from_slice(&finite(trimmed, value, value.is_finite())?.to_le_bytes());
        }
    }

    Ok(())
}

fn boolean(text: &str) -> Result<bool, String> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(format!("'{}' is neither true nor false", shorten(text)))
    }
}

fn integer<T: TryFrom<i128>>(text: &str) -> Result<T, String> {
    let value = whole_value(text).or_else(|| boolean(text).ok().map(i128::from));
    let value = value.and_then(|value| T::try_from(value).ok());
    value
        .ok_or_else(|| format!("'{}' is not a whole number in the datatype's range", shorten(text)))
}

fn float<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    // The standard library also reads `inf`, `nan` and the like.
    let decimal =
        text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    let value = if decimal {
        text.parse().ok()
    } else {
        boolean(text).ok().and_then(|value| if value { "1" } else { "0" }.parse().ok())
    };
    value.ok_or_else(|| {
        format!("'{}' is not a number; an empty cell stands for a missing one", shorten(text))
    })
}

fn finite<T>(text: &str, value: T, is_finite: bool) -> Result<T, String> {
    if is_finite {
        Ok(value)
    } else {
        Err(format!("'{}' is out of the datatype's range", shorten(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(datatype: Datatype, text: &str) -> Result<Vec<u8>, String> {
        let mut data = Vec::new();
        append(text, datatype, &mut data).map(|()| data)
    }

    #[test]
    fn texts_become_numbers_without_loss() {
        for text in ["5", " 5 ", "+5", "5.0", "5e0"] {
            assert_eq!(read(Datatype::Uint8, text), Ok(vec![5]), "{text}");
            assert_eq!(read(Datatype::Fp64, text), Ok(5f64.to_le_bytes().into()), "{text}");
        }
        assert_eq!(read(Datatype::Fp64, ".5"), Ok(0.5f64.to_le_bytes().into()));
        for (text, number) in [("True", 1), ("true", 1), (" False", 0)] {
            assert_eq!(read(Datatype::Uint8, text), Ok(vec![number]), "{text}");
            assert_eq!(read(Datatype::Fp64, text), Ok(f64::from(number).to_le_bytes().into()));
        }

        for text in ["", "256", "5.5", "five", "0x5", "5 5", "1_000"] {
            assert!(read(Datatype::Uint8, text).is_err(), "{text}");
        }
        for text in ["", "nan", "NaN", "inf", "-Infinity", "1e999", "five", "0x5", "1,5", "e"] {
            assert!(read(Datatype::Fp64, text).is_err(), "{text}");
        }
    }

    #[test]
    fn texts_stay_as_they_are() {
        for text in ["007", "1e3", "2024-01-02", "null", "nan", "", " a "] {
            let data = read(Datatype::Bytes, text).unwrap();
            assert_eq!(data.get(4..), Some(text.as_bytes()));
        }
        assert_eq!(read(Datatype::Bool, "True"), Ok(vec![1]));
        assert!(read(Datatype::Bool, "1").is_err());
    }
}
