//! The categories of a pandas column, whose codes the trees were trained on.

use std::collections::BTreeMap;

use serde_json::Value;
use wardian_sdk::{Error, OrError};

/// The categories of a column, in the order of their codes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Categories {
    Texts(BTreeMap<String, u32>),
    /// Ascending, each with its code.
    Numbers(Vec<(f64, u32)>),
}

// === impl Categories ===

impl Categories {
    /// Reads the list for each column of a frame that has categories.
    ///
    /// # Errors Failed if it is no JSON, or a column has texts beside numbers.
    pub(super) fn read_all(json: &str) -> Result<Vec<Self>, Error> {
        let lists: Option<Vec<Vec<Value>>> =
            serde_json::from_str(json).or_failed("pandas_categorical")?;
        lists.unwrap_or_default().iter().map(|list| Self::read(list)).collect()
    }

    fn read(list: &[Value]) -> Result<Self, Error> {
        let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
        if let Some(texts) = texts {
            let codes = (0..).zip(texts).map(|(code, text)| (text.to_owned(), code));
            return Ok(Self::Texts(codes.collect()));
        }
        let numbers: Option<Vec<f64>> = list.iter().map(number).collect();
        let numbers = numbers.or_failed(
            "pandas_categorical has a column whose categories are not all texts or all numbers; \
             make them texts with .astype(str).astype(\"category\") and train again",
        )?;
        let mut numbers: Vec<_> = numbers.into_iter().zip(0..).collect();
        numbers.sort_by(|one, other| one.0.total_cmp(&other.0));
        Ok(Self::Numbers(numbers))
    }

    /// Returns the number of categories.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Texts(codes) => codes.len(),
            Self::Numbers(codes) => codes.len(),
        }
    }

    /// Returns true if the categories are texts.
    pub(super) fn are_texts(&self) -> bool {
        matches!(self, Self::Texts(_))
    }

    /// Returns the code of a text; NaN if there is none.
    pub(super) fn code_of_text(&self, text: &str) -> f64 {
        match self {
            Self::Texts(codes) => codes.get(text).map_or(f64::NAN, |code| f64::from(*code)),
            Self::Numbers(_) => f64::NAN,
        }
    }

    /// Returns the code of a number; NaN if there is none.
    pub(super) fn code_of_number(&self, number: f64) -> f64 {
        let Self::Numbers(codes) = self else { return f64::NAN };
        // Zero has two signs, and the list one of them.
        let found = codes.binary_search_by(|(category, _)| category.total_cmp(&(number + 0.0)));
        found.ok().and_then(|index| codes.get(index)).map_or(f64::NAN, |(_, code)| (*code).into())
    }

    /// Returns the categories in the order of their codes, as JSON.
    pub(super) fn to_json(&self) -> Value {
        let mut values: Vec<(u32, Value)> = match self {
            Self::Texts(codes) => {
                codes.iter().map(|(text, code)| (*code, Value::from(text.as_str()))).collect()
            }
            Self::Numbers(codes) => {
                codes.iter().map(|(number, code)| (*code, Value::from(*number))).collect()
            }
        };
        values.sort_by_key(|(code, _)| *code);
        values.into_iter().map(|(_, value)| value).collect()
    }
}

fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_bool().map(|is| f64::from(u8::from(is))));
    number.map(|number| number + 0.0)
}
