//! The inputs of a model: one matrix, or one input for each column if categories have names.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use wardian_sdk::{Error, Metadata, Request, Tensor};

use super::categories::Categories;
use super::input_column::InputColumn;
use crate::SavedMetadata;

/// The name of the matrix.
const MATRIX: &str = "features";

/// The most inputs that the host lets a model have.
const MAX_COLUMNS: usize = 256;

/// The longest list of names that fits into the properties of a model, in bytes.
const MAX_NAMES: usize = 24 << 10;

/// The inputs of a model.
pub(super) struct Inputs {
    /// The number of columns.
    features: usize,
    /// The columns; empty if none of them has categories that the file knows.
    columns: Vec<InputColumn>,
    /// A number that stands for a missing value, besides NaN.
    missing: Option<f64>,
}

/// The rows of a request, one after another. A missing value is NaN.
pub(super) struct Rows {
    /// The values.
    pub(super) values: Vec<f32>,
    /// The number of rows.
    pub(super) count: usize,
}

// === impl Inputs ===

impl Inputs {
    /// Decides on the inputs of a model.
    ///
    /// # Errors
    /// Failed if the columns need inputs of their own and cannot have them.
    pub(super) fn new(
        features: usize,
        names: &[String],
        categories: Vec<Categories>,
        saved: &SavedMetadata,
    ) -> Result<Self, Error> {
        let column = |(index, categories): (usize, Categories)| {
            let name = names.get(index).cloned().unwrap_or_else(|| format!("f{index}"));
            Ok(InputColumn { categories: categories.or_saved(&name, saved)?, name })
        };
        let columns: Result<_, Error> = categories.into_iter().enumerate().map(column).collect();
        let inputs = Self { features, columns: columns?, missing: saved.missing };
        if !inputs.is_matrix() {
            inputs.check_names()?;
        }
        Ok(inputs)
    }

    fn check_names(&self) -> Result<(), Error> {
        let names: BTreeSet<_> = self.columns.iter().map(|column| &column.name).collect();
        let is_name = |name: &&String| !name.is_empty() && !name.chars().any(char::is_control);
        if names.iter().all(is_name)
            && names.len() == self.columns.len()
            && names.len() <= MAX_COLUMNS
        {
            return Ok(());
        }
        Err(Error::failed(format_args!(
            "cats names the categories of columns, so each of the {} columns is an input: give at \
             most {MAX_COLUMNS} columns different feature_names without control characters, or \
             train with the codes of the categories",
            self.features
        )))
    }

    fn is_matrix(&self) -> bool {
        !self.columns.iter().any(InputColumn::needs_own_input)
    }

    /// Adds the inputs, and the names of columns and categories, to a model's metadata.
    pub(super) fn declare(&self, metadata: Metadata, names: &[String]) -> Metadata {
        let metadata = with_names(metadata, "feature_names", names.is_empty(), names.into());
        let categories: Map<_, _> =
            self.columns.iter().filter_map(InputColumn::categories_property).collect();
        let metadata = with_names(metadata, "categories", categories.is_empty(), categories.into());
        if self.is_matrix() {
            return metadata.input::<f32>(MATRIX, [-1, self.features as i64]);
        }
        self.columns.iter().fold(metadata, |metadata, column| column.declare(metadata))
    }

    /// Reads the rows of a request.
    ///
    /// # Errors
    /// Rejected if an input has another shape, or a value is no category.
    pub(super) fn read(&self, request: &Request) -> Result<Rows, Error> {
        let mut rows = match self.is_matrix() {
            true => self.matrix(request.input(MATRIX)?)?,
            false => return self.joined(request),
        };
        if let Some(missing) = self.missing {
            // The library compares as float32.
            let missing = missing as f32;
            let found = rows.values.iter_mut().filter(|value| **value == missing);
            found.for_each(|value| *value = f32::NAN);
        }
        for (value, column) in rows.values.iter_mut().zip(self.columns.iter().cycle()) {
            *value = column.code(f64::from(*value))?;
        }
        Ok(rows)
    }

    fn matrix(&self, input: &Tensor) -> Result<Rows, Error> {
        let view = input.view::<f32>()?;
        match *view.shape() {
            [count, width] if usize::try_from(width) == Ok(self.features) => {
                Ok(Rows { values: view.to_vec(), count: count as usize })
            }
            _ => Err(Error::rejected(format_args!(
                "{MATRIX:?} is of shape {:?}, not [rows, {}]",
                view.shape(),
                self.features
            ))),
        }
    }

    fn joined(&self, request: &Request) -> Result<Rows, Error> {
        let read = |column: &InputColumn| column.read(request.input(&column.name)?, self.missing);
        let columns: Vec<Vec<f32>> = self.columns.iter().map(read).collect::<Result<_, _>>()?;
        let count = columns.first().map_or(0, Vec::len);
        if columns.iter().any(|column| column.len() != count) {
            return Err(Error::rejected("the inputs have different numbers of rows"));
        }
        let mut values = vec![f32::NAN; count.saturating_mul(columns.len())];
        for (index, column) in columns.iter().enumerate() {
            let places = values.iter_mut().skip(index).step_by(columns.len());
            places.zip(column).for_each(|(place, value)| *place = *value);
        }
        Ok(Rows { values, count })
    }
}

/// Adds a property of names, unless there are none or too many.
fn with_names(metadata: Metadata, property: &str, are_none: bool, names: Value) -> Metadata {
    let names = if are_none { String::new() } else { names.to_string() };
    match are_none || names.len() > MAX_NAMES {
        true => metadata,
        false => metadata.property(property, names),
    }
}
