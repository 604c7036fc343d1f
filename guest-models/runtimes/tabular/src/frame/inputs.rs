//! The inputs of a request, as the rows that the trees walk.

use serde_json::{Map, Value};
use wardian_sdk::{Error, Metadata, Request};

use super::Categories;
use crate::number_lists::shortened;

/// The name of the input that holds all columns.
const MATRIX: &str = "features";

/// The inputs of a model: a matrix, or a tensor for each column if one of them has texts.
#[derive(Debug)]
pub(crate) struct Inputs {
    columns: Vec<Column>,
    /// The value that stands for a missing one, besides NaN.
    missing: Option<f64>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    /// The name, which an input has if there is one for each column.
    pub(crate) name: String,
    /// The categories, if it has any. Its codes take the place of their values.
    pub(crate) categories: Option<Categories>,
}

// === impl Inputs ===

impl Inputs {
    /// Declares the inputs for columns.
    ///
    /// # Errors
    /// Failed if there are none, or two have the same name.
    pub(crate) fn new(columns: Vec<Column>, missing: Option<f64>) -> Result<Self, Error> {
        if columns.is_empty() {
            return Err(Error::failed("the file has no columns"));
        }
        let inputs = Self { columns, missing };
        let mut names: Vec<_> = inputs.columns.iter().map(|column| &column.name).collect();
        names.sort();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::failed(format_args!(
                "two columns are called {}; give them different names and train again",
                shortened(pair[0])
            )));
        }
        Ok(inputs)
    }

    /// Returns the number of columns, at least 1.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    fn is_matrix(&self) -> bool {
        !self.columns.iter().any(Column::has_texts)
    }

    /// Adds the inputs, and the properties that describe them.
    pub(crate) fn describe(&self, metadata: Metadata) -> Metadata {
        let names: Value = self.columns.iter().map(|column| column.name.as_str()).collect();
        let metadata = metadata.property("feature_names", names.to_string());
        let categories: Map<_, _> = self.columns.iter().filter_map(Column::listed).collect();
        let metadata = match categories.is_empty() {
            true => metadata,
            false => metadata.property("categories", Value::Object(categories).to_string()),
        };
        if self.is_matrix() {
            return metadata.input::<f64>(MATRIX, [-1, self.columns.len() as i64]);
        }
        self.columns.iter().fold(metadata, |metadata, column| match column.has_texts() {
            true => metadata.input::<String>(&column.name, [-1, 1]),
            false => metadata.input::<f64>(&column.name, [-1, 1]),
        })
    }

    /// Reads the rows of a request, one after the other.
    ///
    /// # Errors
    /// Rejected if the tensors do not have the declared datatypes and shapes.
    pub(crate) fn rows(&self, request: &Request) -> Result<Vec<f64>, Error> {
        if self.is_matrix() { self.matrix(request) } else { self.joined(request) }
    }

    fn matrix(&self, request: &Request) -> Result<Vec<f64>, Error> {
        let matrix = request.input(MATRIX)?.view::<f64>()?;
        if matrix.shape().get(1) != Some(&(self.columns.len() as u64)) {
            return Err(Error::rejected(format_args!(
                "{MATRIX:?} has the shape {:?}, not [-1, {}]",
                matrix.shape(),
                self.columns.len()
            )));
        }
        let columns = self.columns.iter().cycle();
        Ok(matrix.iter().zip(columns).map(|(value, column)| self.value(column, value)).collect())
    }

    fn joined(&self, request: &Request) -> Result<Vec<f64>, Error> {
        let width = self.columns.len();
        let mut rows = Vec::new();
        for (index, column) in self.columns.iter().enumerate() {
            let values = self.column(column, request)?;
            if index == 0 {
                let length = values.len().checked_mul(width);
                let length = length.ok_or_else(|| Error::rejected("there are too many rows"))?;
                rows.resize(length, 0.0);
            }
            if Some(rows.len()) != values.len().checked_mul(width) {
                return Err(Error::rejected(format_args!(
                    "{:?} has another number of rows than {:?}",
                    column.name, self.columns[0].name
                )));
            }
            let places = rows.iter_mut().skip(index).step_by(width);
            places.zip(values).for_each(|(place, value)| *place = value);
        }
        Ok(rows)
    }

    fn column(&self, column: &Column, request: &Request) -> Result<Vec<f64>, Error> {
        let tensor = request.input(&column.name)?;
        match column.categories.as_ref().filter(|_| column.has_texts()) {
            Some(categories) => {
                let texts = tensor.strings()?;
                Ok(texts.into_iter().map(|text| categories.code_of_text(text)).collect())
            }
            None => {
                let values = tensor.view::<f64>()?;
                Ok(values.iter().map(|value| self.value(column, value)).collect())
            }
        }
    }

    /// Returns the value that the trees compare.
    fn value(&self, column: &Column, value: f64) -> f64 {
        if self.missing == Some(value) {
            return f64::NAN;
        }
        column.categories.as_ref().map_or(value, |categories| categories.code_of_number(value))
    }
}

// === impl Column ===

impl Column {
    fn has_texts(&self) -> bool {
        self.categories.as_ref().is_some_and(Categories::are_texts)
    }

    fn listed(&self) -> Option<(String, Value)> {
        Some((self.name.clone(), self.categories.as_ref()?.to_json()))
    }
}
