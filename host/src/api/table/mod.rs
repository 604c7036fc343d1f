//! Tables: rows of named fields, as records, frames, columns or CSV, and the tensors of a model.
//!
//! A field is an input of the model or, if the model takes a single matrix, one of its columns, by
//! the names in the metadata's property `feature_names`; the property `columns` has more names for
//! both. Each row fills one cell of each field. The
//! cells of all rows are stacked along the first dimension of the inputs; a model that does not
//! stack rows takes a single one ([`Layout`]).
//!
//! Everything here is pure. `json_rows` and `csv_rows` read a format, [`TableBuilder`] checks the
//! rows and makes tensors, `predictions` writes the outputs as rows again.

mod builder;
mod cell;
mod csv_rows;
mod csv_text;
mod fields;
mod header;
mod input_rows;
mod json_rows;
mod missing_texts;
mod predictions;
mod row_layout;
mod schema;
mod text_cell;

pub(super) use builder::{Table, TableBuilder, UnknownFields, build_row, build_table};
pub(super) use csv_rows::read_csv;
pub(super) use json_rows::{
    read_columns, read_examples, read_frame, read_record, read_row, read_rows,
};
pub(super) use predictions::{Output, PredictionWriter, Style, elements_by_row, is_single};
pub(super) use row_layout::{Layout, varies_by_row};
pub(super) use schema::{FieldSchema, element_schema, field_schemas, output_schema, schema_memory};
