//! Conversion between Rust's types and those of a database.

use super::Value;

/// Describes a value by its type and, if it is short, the value.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(boolean) => format!("the boolean {boolean}"),
        Value::Integer(integer) => format!("the integer {integer}"),
        Value::Real(number) => format!("the number {number}"),
        Value::Text(_) => "a text".to_owned(),
        Value::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
    }
}

/// A type that a value of a row can be read as. `Option<T>` is `None` for null.
pub trait FromValue: Sized {
    /// The name of the type in an error.
    const NAME: &'static str;

    /// Converts the value; `None` if it has another type.
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for i64 {
    const NAME: &'static str = "an integer";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(integer) => Some(*integer),
            _ => None,
        }
    }
}

impl FromValue for f64 {
    const NAME: &'static str = "a number";

    /// Integers are converted.
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Real(real) => Some(*real),
            Value::Integer(integer) => Some(*integer as f64),
            _ => None,
        }
    }
}

impl FromValue for bool {
    const NAME: &'static str = "a boolean";

    /// SQLite has no booleans: 0 is false, every other integer true.
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Boolean(boolean) => Some(*boolean),
            Value::Integer(integer) => Some(*integer != 0),
            _ => None,
        }
    }
}

impl FromValue for String {
    const NAME: &'static str = "a text";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl FromValue for Vec<u8> {
    const NAME: &'static str = "a blob";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Blob(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const NAME: &'static str = T::NAME;

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

macro_rules! into_value {
    ($($from:ty => $case:ident),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Value::$case(value.into())
            }
        }
    )*};
}

into_value! {
    bool => Boolean,
    u8 => Integer, i8 => Integer, u16 => Integer, i16 => Integer, u32 => Integer, i32 => Integer, i64 => Integer,
    f32 => Real, f64 => Real,
    &str => Text, String => Text,
    &[u8] => Blob, Vec<u8> => Blob,
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Value::Text(text.clone())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}
