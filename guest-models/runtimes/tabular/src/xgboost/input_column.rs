//! A column of a model: its categories, its input if it has one of its own, and the numbers that
//! the trees compare.

use std::fmt::Display;

use serde_json::Value;
use wardian_sdk::{Error, Metadata, Tensor};

use super::categories::Categories;
use super::document::shown;

/// A column of a model whose file has categories.
pub(super) struct InputColumn {
    pub(super) name: String,
    pub(super) categories: Categories,
}

impl InputColumn {
    /// Returns true if the values do not fit into a matrix of `f32`, so that the column needs an
    /// input of its own.
    pub(super) fn needs_own_input(&self) -> bool {
        match &self.categories {
            Categories::None => false,
            Categories::Texts(_) | Categories::Cut(_) => true,
            Categories::Numbers(codes) => {
                codes.keys().any(|number| *number as f32 as i64 != *number)
            }
        }
    }

    /// Declares the input of its own.
    pub(super) fn declare(&self, metadata: Metadata) -> Metadata {
        match self.categories {
            Categories::Texts(_) | Categories::Cut(_) => {
                metadata.input::<String>(&self.name, [-1, 1])
            }
            Categories::Numbers(_) if self.needs_own_input() => {
                metadata.input::<f64>(&self.name, [-1, 1])
            }
            Categories::Numbers(_) | Categories::None => metadata.input::<f32>(&self.name, [-1, 1]),
        }
    }

    /// Returns the entry of the model's property `categories`; `None` without categories.
    pub(super) fn categories_property(&self) -> Option<(String, Value)> {
        Some((self.name.clone(), self.categories.to_json()?))
    }

    /// Reads the input of its own as the numbers that the trees compare. `missing` is a number that
    /// stands for a missing value.
    ///
    /// # Errors
    /// Rejected if it is not one column, or a value is no category.
    pub(super) fn read(&self, input: &Tensor, missing: Option<f64>) -> Result<Vec<f32>, Error> {
        if !matches!(*input.shape, [_, 1]) {
            return Err(Error::rejected(format_args!("{} is not one column", shown(&self.name))));
        }
        let is_missing = |value: f64| missing.is_some_and(|missing| missing == value);
        match &self.categories {
            Categories::Texts(_) | Categories::Cut(_) => {
                input.strings()?.into_iter().map(|text| self.code_of_text(text)).collect()
            }
            Categories::Numbers(_) if self.needs_own_input() => {
                let value = |value| if is_missing(value) { f64::NAN } else { value };
                input.view::<f64>()?.iter().map(|number| self.code(value(number))).collect()
            }
            Categories::Numbers(_) | Categories::None => {
                let missing = missing.map(|missing| missing as f32);
                let value = |value| if Some(value) == missing { f32::NAN } else { value };
                let numbers = input.view::<f32>()?.iter().map(value);
                numbers.map(|number| self.code(f64::from(number))).collect()
            }
        }
    }

    /// Returns the number that the trees compare: the code of the category, or the number itself
    /// without categories.
    ///
    /// # Errors
    /// Rejected if the number is no category.
    pub(super) fn code(&self, number: f64) -> Result<f32, Error> {
        let Categories::Numbers(codes) = &self.categories else { return Ok(number as f32) };
        match codes.get(&(number as i64)) {
            _ if number.is_nan() => Ok(f32::NAN),
            Some(code) if number.fract() == 0.0 => Ok(*code as f32),
            _ => Err(self.unknown(number)),
        }
    }

    /// Returns the code of a text. The empty text is a missing value, unless it is a category.
    fn code_of_text(&self, text: &str) -> Result<f32, Error> {
        let code = match &self.categories {
            Categories::Texts(codes) => codes.get(text),
            _ => None,
        };
        match code {
            Some(code) => Ok(*code as f32),
            None if text.is_empty() => Ok(f32::NAN),
            None => Err(self.unknown(shown(text))),
        }
    }

    fn unknown(&self, category: impl Display) -> Error {
        Error::rejected(format_args!(
            "the column {} had no category {category} in training; a missing value is an empty \
             text, or NaN",
            shown(&self.name)
        ))
    }
}
