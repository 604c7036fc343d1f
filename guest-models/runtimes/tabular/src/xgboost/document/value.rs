//! Values.

use super::Object;

/// The most objects of an array. Each takes about two kilobytes while the file is read, and each of
/// the trees is one.
const MAX_OBJECTS: usize = 1 << 18;

/// A value of either format.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::xgboost) enum Value {
    /// Null; in an array of numbers, NaN.
    Null,
    /// A whole number, or a boolean as 0 or 1.
    Integer(i64),
    /// Another number.
    Number(f32),
    /// A text.
    Text(String),
    /// An array of whole numbers; also the empty array.
    Integers(Vec<i64>),
    /// An array of numbers.
    Numbers(Vec<f32>),
    /// Any other array.
    Array(Vec<Value>),
    /// An object.
    Object(Object),
}

/// Collects the elements of an array.
pub(super) struct ArrayBuilder {
    array: Value,
}

/// Returns true for fields that only training needs, and that may be large.
pub(super) fn is_skipped(field: &str) -> bool {
    matches!(field, "loss_changes" | "sum_hessian" | "parents" | "leaf_child_counts")
}

// === impl Value ===

impl Value {
    /// Returns the text.
    pub(in crate::xgboost) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the whole number.
    pub(in crate::xgboost) fn into_integer(self) -> Option<i64> {
        match self {
            Self::Integer(integer) => Some(integer),
            _ => None,
        }
    }

    /// Returns the whole numbers of an array.
    pub(in crate::xgboost) fn into_integers(self) -> Option<Vec<i64>> {
        match self {
            Self::Integers(integers) => Some(integers),
            _ => None,
        }
    }

    /// Returns the numbers of an array.
    pub(in crate::xgboost) fn into_numbers(self) -> Option<Vec<f32>> {
        match self {
            Self::Integers(integers) => Some(integers.into_iter().map(|of| of as f32).collect()),
            Self::Numbers(numbers) => Some(numbers),
            Self::Array(values) => values.into_iter().map(Self::into_number).collect(),
            _ => None,
        }
    }

    fn into_number(self) -> Option<f32> {
        match self {
            Self::Null => Some(f32::NAN),
            Self::Integer(integer) => Some(integer as f32),
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Returns the elements of an array that is not of numbers.
    pub(in crate::xgboost) fn into_array(self) -> Option<Vec<Self>> {
        match self {
            Self::Array(values) => Some(values),
            Self::Integers(integers) if integers.is_empty() => Some(Vec::new()),
            _ => None,
        }
    }

    /// Returns the texts of an array.
    pub(in crate::xgboost) fn into_texts(self) -> Option<Vec<String>> {
        self.into_array()?.into_iter().map(Self::into_text).collect()
    }

    /// Returns the object.
    pub(in crate::xgboost) fn into_object(self) -> Option<Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }
}

// === impl ArrayBuilder ===

impl ArrayBuilder {
    /// Starts an empty array.
    pub(super) fn new() -> Self {
        Self { array: Value::Integers(Vec::new()) }
    }

    /// Adds an element; fails with a text if the array has as many objects as it may.
    pub(super) fn push(&mut self, element: Value) -> Result<(), String> {
        match (&mut self.array, element) {
            (Value::Array(values), Value::Object(_)) if values.len() >= MAX_OBJECTS => {
                return Err(format!(
                    "an array of more than {MAX_OBJECTS} objects; a model of more trees is not \
                     served: train fewer rounds of deeper trees"
                ));
            }
            (Value::Integers(integers), Value::Integer(integer)) => integers.push(integer),
            (Value::Numbers(numbers), Value::Number(number)) => numbers.push(number),
            (Value::Numbers(numbers), Value::Integer(integer)) => numbers.push(integer as f32),
            (Value::Array(values), element) => values.push(element),
            (_, element) => self.widen(element),
        }
        Ok(())
    }

    /// Adds an element that the array's present form cannot hold.
    fn widen(&mut self, element: Value) {
        let array = std::mem::replace(&mut self.array, Value::Null);
        self.array = match (array, element) {
            (Value::Integers(integers), Value::Number(number)) => {
                let mut numbers: Vec<_> = integers.into_iter().map(|of| of as f32).collect();
                numbers.push(number);
                Value::Numbers(numbers)
            }
            (Value::Integers(integers), element) => {
                let mut values: Vec<_> = integers.into_iter().map(Value::Integer).collect();
                values.push(element);
                Value::Array(values)
            }
            (Value::Numbers(numbers), element) => {
                let mut values: Vec<_> = numbers.into_iter().map(Value::Number).collect();
                values.push(element);
                Value::Array(values)
            }
            (array, _) => array,
        };
    }

    /// Ends the array, which has no room for more.
    pub(super) fn build(mut self) -> Value {
        match &mut self.array {
            Value::Integers(integers) => integers.shrink_to_fit(),
            Value::Numbers(numbers) => numbers.shrink_to_fit(),
            Value::Array(values) => values.shrink_to_fit(),
            _ => {}
        }
        self.array
    }
}
