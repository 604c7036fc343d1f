//! The categories of a column, whose codes the trees were trained on.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;
use wardian_sdk::{Error, OrError};

/// The categories of a column, in the order of their codes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Categories {
    /// Each with its code.
    Texts(BTreeMap<String, u32>),
    /// Each with its code, in ascending order.
    Numbers(Vec<(f64, u32)>),
}

// === impl Categories ===

impl Categories {
    /// Reads a list of JSON.
    ///
    /// # Errors
    /// Failed if it has texts beside numbers, anything else, or the same category twice.
    pub(crate) fn read(list: &[&RawValue]) -> Result<Self, Error> {
        let texts: Option<Vec<String>> = list.iter().map(|item| text(item)).collect();
        if let Some(texts) = texts.filter(|texts| !texts.is_empty()) {
            let codes: BTreeMap<_, _> = texts.into_iter().zip(0..).collect();
            return if codes.len() == list.len() { Ok(Self::Texts(codes)) } else { Err(twice()) };
        }

        let numbers: Option<Vec<f64>> = list.iter().map(|item| number(item)).collect();
        let numbers = numbers.or_failed(
            "a column has categories that are not all texts or all numbers; make them texts and \
             train again",
        )?;
        let mut codes: Vec<_> = numbers.into_iter().zip(0..).collect();
        codes.sort_by(|one, other| one.0.total_cmp(&other.0));
        if codes.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(twice());
        }
        Ok(Self::Numbers(codes))
    }

    /// Returns the number of categories.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Texts(codes) => codes.len(),
            Self::Numbers(codes) => codes.len(),
        }
    }

    /// Returns true if the categories are texts.
    pub(crate) fn are_texts(&self) -> bool {
        matches!(self, Self::Texts(_))
    }

    /// Returns the code of a text; NaN if there is none.
    pub(crate) fn code_of_text(&self, text: &str) -> f64 {
        match self {
            Self::Texts(codes) => codes.get(text).map_or(f64::NAN, |code| f64::from(*code)),
            Self::Numbers(_) => f64::NAN,
        }
    }

    /// Returns the code of a number; NaN if there is none.
    pub(crate) fn code_of_number(&self, number: f64) -> f64 {
        let Self::Numbers(codes) = self else { return f64::NAN };
        // Zero has two signs, and the list one of them.
        let found = codes.binary_search_by(|(category, _)| category.total_cmp(&(number + 0.0)));
        found.ok().and_then(|index| codes.get(index)).map_or(f64::NAN, |(_, code)| (*code).into())
    }

    /// Returns the categories in the order of their codes, as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let mut values: Vec<(u32, Value)> = match self {
            Self::Texts(codes) => {
                codes.iter().map(|(text, code)| (*code, Value::from(text.as_str()))).collect()
            }
            Self::Numbers(codes) => {
                codes.iter().map(|(number, code)| (*code, number_to_json(*number))).collect()
            }
        };
        values.sort_by_key(|(code, _)| *code);
        values.into_iter().map(|(_, value)| value).collect()
    }
}

fn text(item: &RawValue) -> Option<String> {
    serde_json::from_str(item.get()).ok()
}

/// A number, or 1 for true and 0 for false.
fn number(item: &RawValue) -> Option<f64> {
    match item.get() {
        "true" => Some(1.0),
        "false" => Some(0.0),
        // The parser of JSON may miss the nearest double in the last bit.
        text => text.parse().ok().map(|number: f64| number + 0.0),
    }
}

fn twice() -> Error {
    Error::failed("a column has the same category twice")
}

/// Writes whole numbers without a fraction.
fn number_to_json(number: f64) -> Value {
    let whole = number as i64;
    if whole as f64 == number { whole.into() } else { number.into() }
}
