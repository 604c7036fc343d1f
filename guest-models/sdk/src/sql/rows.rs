//! The result of a query.

use std::fmt::Arguments;
use std::rc::Rc;

use super::value::describe;
use super::{FromValue, Value};
use crate::error::listed;
use crate::{Error, OrError};

/// The rows of a query.
#[derive(Clone, Debug)]
pub struct Rows {
    rows: Vec<Row>,
}

/// One row. A clone shares the names of its columns.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Rc<[String]>,
    values: Vec<Value>,
}

impl Rows {
    #[cfg(target_family = "wasm")]
    pub(super) fn new(found: crate::bindings::model::wardian::model::sql::Rows) -> Self {
        let columns: Rc<[String]> = found.columns.into();
        Rows {
            rows: found
                .rows
                .into_iter()
                .map(|values| Row { columns: columns.clone(), values })
                .collect(),
        }
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns true if there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the first row, if there is one.
    pub fn first(&self) -> Option<&Row> {
        self.rows.first()
    }

    /// Iterates over the rows, in the query's order.
    pub fn iter(&self) -> std::slice::Iter<'_, Row> {
        self.rows.iter()
    }
}

impl IntoIterator for Rows {
    type Item = Row;
    type IntoIter = std::vec::IntoIter<Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

impl<'a> IntoIterator for &'a Rows {
    type Item = &'a Row;
    type IntoIter = std::slice::Iter<'a, Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}

impl Row {
    /// Returns the value of a column, by its name in the query.
    ///
    /// # Errors
    /// Failed if there is no such column, or if its value has another type.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, Error> {
        let index = self.columns.iter().position(|name| name == column);
        let names = || listed(self.columns.iter().map(String::as_str));
        let index = index.ok_or_else(|| {
            Error::failed(format_args!("the query has no column {column:?}; it has {}", names()))
        })?;
        self.value(index, format_args!("{column:?}"))
    }

    /// Returns the value of a column, by its index in the query. The first column has index 0.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn at<T: FromValue>(&self, index: usize) -> Result<T, Error> {
        self.value(index, format_args!("{index} (counted from 0)"))
    }

    fn value<T: FromValue>(&self, index: usize, column: Arguments<'_>) -> Result<T, Error> {
        let value = self.values.get(index);
        let value = value.or_failed(format_args!("the query has no column {column}"))?;
        let found = || format!("column {column} holds {}, not {}", describe(value), T::NAME);
        T::from_value(value).ok_or_else(|| Error::failed(found()))
    }

    /// Returns the names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Returns the values, in the order of the columns.
    pub fn values(&self) -> &[Value] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_by_name_and_type() {
        let values = vec![Value::Integer(7), Value::Null, Value::Text("x".into())];
        let row =
            Row { columns: Rc::from(["id".to_owned(), "note".into(), "text".into()]), values };
        assert!(matches!(row.get::<i64>("id"), Ok(7)));
        assert!(matches!(row.get::<Option<String>>("note"), Ok(None)));
        assert!(matches!(row.get::<f64>("id"), Ok(seven) if seven == 7.0));
        assert!(matches!(row.at::<String>(2), Ok(text) if text == "x"));
        let told = |error: Result<i64, Error>| match error {
            Err(Error::Failed(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(told(row.get("nothing")).contains("no column \"nothing\""));
        assert_eq!(told(row.get("text")), "column \"text\" holds a text, not an integer");
        assert_eq!(told(row.at(2)), "column 2 (counted from 0) holds a text, not an integer");
        assert_eq!(told(row.at(3)), "the query has no column 3 (counted from 0)");
        assert_eq!(
            told(row.get("nothing")),
            r#"the query has no column "nothing"; it has "id", "note", "text""#
        );
    }
}
