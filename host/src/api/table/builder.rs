//! Builds the tensors of a table row by row.

mod cells;
mod faults;

use std::borrow::Cow;

use super::cell::push_nan;
use super::fields::Fields;
use super::input_rows::{Cell, Fault, InputRows};
use super::row_layout::{Layout, stacks_rows, takes_lists};
use crate::model::{Metadata, Tensor};

/// A table as the tensors of a request.
#[derive(Debug)]
pub(in crate::api) struct Table {
    pub(in crate::api) inputs: Vec<Tensor>,
    pub(in crate::api) layout: Layout,
}

/// The treatment of fields that the model does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum UnknownFields {
    /// They are refused.
    Refused,
    /// They are passed over, unless one is nearly the name of a field that is missing.
    PassedOver,
}

/// Builds a table that is written in `text_length` bytes, in the layout of the model. `fill` adds
/// the rows, and is called once more if a row may also be a list for a whole input. Fails with a
/// text for the caller.
pub(in crate::api) fn build_table(
    metadata: &Metadata,
    unknown: UnknownFields,
    text_length: usize,
    fill: impl Fn(&mut TableBuilder<'_>) -> Result<(), String>,
) -> Result<Table, String> {
    build(metadata, unknown, None, text_length, fill)
}

/// Returns what a field is called in the request, for error texts.
pub(in crate::api) type FieldLabel<'t> = &'t dyn Fn(&TableBuilder<'_>, usize) -> String;

/// Builds a table of one row, whose fields have labels of their own in error texts. `fill` adds the
/// row, as in [`build_table`].
pub(in crate::api) fn build_row(
    metadata: &Metadata,
    label: FieldLabel<'_>,
    text_length: usize,
    fill: impl Fn(&mut TableBuilder<'_>) -> Result<(), String>,
) -> Result<Table, String> {
    build(metadata, UnknownFields::Refused, Some(label), text_length, fill)
}

fn build(
    metadata: &Metadata,
    unknown: UnknownFields,
    label: Option<FieldLabel<'_>>,
    text_length: usize,
    fill: impl Fn(&mut TableBuilder<'_>) -> Result<(), String>,
) -> Result<Table, String> {
    let build = |stacked| {
        let fields = Fields::new(metadata, stacked);
        let mut table = TableBuilder::new(metadata, &fields, unknown, text_length);
        table.label = label;
        fill(&mut table)?;
        table.finish()
    };

    let stacked = stacks_rows(metadata);
    build(stacked).or_else(|error| match stacked && takes_lists(metadata) {
        true => build(false).map_err(|_| error),
        false => Err(error),
    })
}

/// Collects the rows of a table. Errors are texts for the caller that name row and field; the first
/// row is row 1.
pub(in crate::api) struct TableBuilder<'t> {
    pub(super) fields: &'t Fields<'t>,
    pub(super) unknown: UnknownFields,
    /// `None` for a table whose rows are numbered.
    label: Option<FieldLabel<'t>>,
    /// Limit of the tensors in bytes.
    limit: usize,
    pub(super) inputs: Vec<InputRows<'t>>,
    /// The cells of the columns in the present row.
    columns: Vec<Cell>,
    /// The bytes of these cells.
    scratch: Vec<u8>,
    any_column: bool,
    /// Fields of the present row that the model does not have.
    pub(super) passed_over: Vec<String>,
    rows: u64,
}

/// Bytes of tensors that a byte of the request can stand for. The cell of a missing number takes
/// one byte in CSV and 8 in a tensor.
const EXPANSION: usize = 8;

/// Bytes of tensors that any request can stand for.
const MIN_LIMIT: usize = 64 << 10;

impl<'t> TableBuilder<'t> {
    fn new(
        metadata: &Metadata,
        fields: &'t Fields<'t>,
        unknown: UnknownFields,
        text_length: usize,
    ) -> Self {
        // A list of any length may be meant otherwise.
        let lists_of_one = !takes_lists(metadata);
        let stacked = fields.are_stacked();
        let inputs = fields.inputs().iter().map(|spec| InputRows::new(spec, stacked, lists_of_one));
        let columns = fields.columns().map_or(0, |(_, columns)| columns.len());

        TableBuilder {
            fields,
            unknown,
            label: None,
            limit: text_length.saturating_mul(EXPANSION).saturating_add(MIN_LIMIT),
            inputs: inputs.collect(),
            columns: vec![Cell::Missing; columns],
            scratch: Vec::new(),
            any_column: false,
            passed_over: Vec::new(),
            rows: 0,
        }
    }

    /// True if the rows are stacked along the first dimension of the inputs.
    pub(in crate::api) fn is_stacked(&self) -> bool {
        self.fields.are_stacked()
    }

    pub(super) fn fields(&self) -> &'t Fields<'t> {
        self.fields
    }

    /// Finds a field by its name.
    pub(in crate::api) fn find(&self, name: &str) -> Option<usize> {
        self.fields.find(name, 0)
    }

    /// The fields that are columns of an input; `None` if its columns are no fields.
    pub(in crate::api) fn columns_of(&self, input: &str) -> Option<std::ops::Range<usize>> {
        let (of, columns) = self.fields.columns()?;
        let matrix = self.inputs.get(of)?;
        (matrix.spec.name == input).then_some(columns)
    }

    /// The name of a field, shortened for an error text.
    pub(in crate::api) fn name(&self, field: usize) -> String {
        self.shown(field)
    }

    /// The names of all fields.
    pub(in crate::api) fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        (0..self.fields.len()).map(|field| self.fields.name(field))
    }

    /// Starts a row. Fails if the model takes a single one.
    pub(in crate::api) fn begin_row(&mut self) -> Result<(), String> {
        self.rows += 1;
        if self.rows > 1 && !self.fields.are_stacked() {
            return Err("the model takes one row in each request, and there are more".into());
        }

        self.passed_over.clear();
        for input in &mut self.inputs {
            input.cell = Cell::Missing;
        }
        if std::mem::take(&mut self.any_column) {
            self.columns.fill(Cell::Missing);
            self.scratch.clear();
        }

        Ok(())
    }

    /// Ends a row. Fails if it lacks a field.
    pub(in crate::api) fn end_row(&mut self) -> Result<(), String> {
        let matrix = self.fields.columns();
        let row = self.rows;

        for index in 0..self.inputs.len() {
            if let Some((_, columns)) = matrix.clone().filter(|(input, _)| *input == index)
                && self.any_column
            {
                self.end_columns(index, columns.start)?;
            }

            let Some(input) = self.inputs.get_mut(index) else { continue };
            let outcome = input.end_row(row);
            let has = input.cell != Cell::Missing;

            outcome.map_err(|fault| self.fault(self.fields.first_of(index), fault))?;
            self.check_misspelt(index, has)?;
        }

        let bytes: usize = self.inputs.iter().map(|input| input.data.len()).sum();
        if bytes > self.limit {
            return Err(format!("row {row}: too many fields have no value in this table"));
        }

        Ok(())
    }

    /// Joins the cells of the columns to a row of their input.
    fn end_columns(&mut self, index: usize, first: usize) -> Result<(), String> {
        let Some(input) = self.inputs.get_mut(index) else { return Ok(()) };
        let mut lacks = None;

        for (column, cell) in self.columns.iter().enumerate() {
            let filled = match cell {
                Cell::Value(range) => {
                    input
                        .data
                        .extend_from_slice(self.scratch.get(range.clone()).unwrap_or_default());
                    true
                }
                Cell::Null => push_nan(&mut input.data, input.spec.datatype),
                Cell::Missing => false,
            };
            if !filled {
                lacks = Some((first + column, cell.clone()));
                break;
            }
        }

        input.cell = Cell::Value(0..0);
        if !self.fields.are_stacked() {
            input.shape = input.column_shape(self.columns.len() as u64);
        }

        match lacks {
            Some((field, cell)) => Err(self.fault(field, Fault::of(&cell))),
            None => Ok(()),
        }
    }

    /// Returns the tensors. Fails if a field has a value in some rows only.
    fn finish(self) -> Result<Table, String> {
        let stacked = self.fields.are_stacked();
        if self.rows == 0 && !stacked {
            return Err("there is no row, and the model takes one in each request".into());
        }

        let rows = self.rows;
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for input in self.inputs {
            inputs.extend(input.finish(rows, stacked)?);
        }

        let layout = if stacked { Layout::Rows(rows) } else { Layout::Whole };
        Ok(Table { inputs, layout })
    }
}
