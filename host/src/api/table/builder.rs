//! Builds the tensors of a table row by row.

use std::borrow::Cow;

use super::super::json::{JsonError, Reader, shorten};
use super::cell::{lenient_reader, push_nan};
use super::fields::Fields;
use super::input_rows::{Cell, Fault, InputRows};
use super::row_layout::{Layout, stacks_rows, takes_lists};
use super::text_cell;
use crate::model::{Datatype, Metadata, Tensor, is_misspelt, nearest};

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

/// Limit of the names of fields that are remembered although they are passed over.
const MAX_PASSED_OVER: usize = 64;

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

    /// Reads the value of a field in the present row.
    pub(in crate::api) fn read_json(
        &mut self,
        reader: &mut Reader<'_>,
        field: usize,
    ) -> Result<(), JsonError> {
        let read = self.read_json_cell(reader, field);
        read.map_err(|error| error.in_context(self.place(field)))
    }

    fn read_json_cell(&mut self, reader: &mut Reader<'_>, field: usize) -> Result<(), JsonError> {
        self.check_free(field).map_err(|error| reader.error(error))?;

        if reader.null()? {
            let cell = if self.put_missing_text(field) { Cell::Value(0..0) } else { Cell::Null };
            self.put(field, cell);
            return Ok(());
        }

        let Some((spec, is_column)) = self.fields.input_of(field) else { return Ok(()) };
        if is_column {
            let start = self.scratch.len();
            lenient_reader(spec.datatype)(reader, &mut self.scratch)?;
            self.put(field, Cell::Value(start..self.scratch.len()));
            return Ok(());
        }

        if let Some(input) = self.inputs.get_mut(field) {
            input.read_json(reader, self.fields.are_stacked())?;
        }
        self.put(field, Cell::Value(0..0));

        Ok(())
    }

    /// Appends an empty text if it stands for a missing one in the field.
    fn put_missing_text(&mut self, field: usize) -> bool {
        self.fields.takes_missing_text(field)
            && self.inputs.get_mut(field).is_some_and(InputRows::put_empty_text)
    }

    /// True if the cells of a field are texts.
    pub(in crate::api) fn is_text(&self, field: usize) -> bool {
        self.fields.input_of(field).is_some_and(|(spec, _)| spec.datatype == Datatype::Bytes)
    }

    /// Reads the value of a field in the present row from a cell of CSV.
    pub(super) fn read_text(&mut self, text: &str, field: usize) -> Result<(), String> {
        self.read_text_cell(text, field).map_err(|error| format!("{}: {error}", self.place(field)))
    }

    fn read_text_cell(&mut self, text: &str, field: usize) -> Result<(), String> {
        let Some((spec, is_column)) = self.fields.input_of(field) else { return Ok(()) };
        self.check_free(field)?;

        // An empty text is a text. An optional one is absent: CSV has no other way to say so.
        let is_text = spec.datatype == Datatype::Bytes && !spec.optional;
        if text.trim().is_empty() && !is_text {
            self.put(field, Cell::Null);
            return Ok(());
        }

        if is_column {
            let start = self.scratch.len();
            text_cell::append(text, spec.datatype, &mut self.scratch)?;
            self.put(field, Cell::Value(start..self.scratch.len()));
            return Ok(());
        }

        if let Some(input) = self.inputs.get_mut(field) {
            input.read_text(text, self.fields.are_stacked())?;
        }
        self.put(field, Cell::Value(0..0));

        Ok(())
    }

    /// Reads the value of a field in the present row from texts: one, or several for a list.
    pub(in crate::api) fn read_texts(
        &mut self,
        texts: &[Cow<'_, str>],
        field: usize,
    ) -> Result<(), String> {
        let is_column = self.fields.input_of(field).is_some_and(|(_, is_column)| is_column);
        let is_missing = |text: &str| text.trim().is_empty() && !self.is_text(field);
        let read = match texts {
            [text] if is_column || is_missing(text) => self.read_text_cell(text, field),
            _ => self.read_list(texts.iter().map(|text| text.as_bytes()), field),
        };
        read.map_err(|error| format!("{}: {error}", self.place(field)))
    }

    /// Reads the value of a field in the present row from bytes as they are.
    pub(in crate::api) fn read_bytes(&mut self, bytes: &[u8], field: usize) -> Result<(), String> {
        let read = match self.is_text(field) {
            true => self.read_list(std::iter::once(bytes), field),
            false => self.read_elements(bytes, field),
        };
        read.map_err(|error| format!("{}: {error}", self.place(field)))
    }

    /// Reads a list of texts, each of which is an element.
    fn read_list<'b>(
        &mut self,
        texts: impl ExactSizeIterator<Item = &'b [u8]>,
        field: usize,
    ) -> Result<(), String> {
        self.check_free(field)?;
        let stacked = self.fields.are_stacked();
        // A column is a single number.
        let input = self.inputs.get_mut(field);
        input.ok_or("it is given twice")?.read_list(texts, stacked)?;
        self.put(field, Cell::Value(0..0));

        Ok(())
    }

    fn read_elements(&mut self, bytes: &[u8], field: usize) -> Result<(), String> {
        self.check_free(field)?;
        let stacked = self.fields.are_stacked();
        let input = self.inputs.get_mut(field);
        input.ok_or("a column is a single number")?.read_elements(bytes, stacked)?;
        self.put(field, Cell::Value(0..0));

        Ok(())
    }

    /// Notes a field of the present row that the model does not have. Fails if it is refused.
    pub(super) fn pass_over(&mut self, name: &str) -> Result<(), String> {
        if self.unknown == UnknownFields::Refused {
            return Err(format!("row {}: {}", self.rows, self.unknown_text(name)));
        }
        self.remember(name);
        Ok(())
    }

    pub(super) fn remember(&mut self, name: &str) {
        if self.passed_over.len() < MAX_PASSED_OVER {
            self.passed_over.push(shorten(name));
        }
    }

    pub(super) fn unknown_text(&self, name: &str) -> String {
        format!("unknown field '{}'{}", shorten(name), self.fields.hint(name))
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

    fn fault(&self, field: usize, fault: Fault) -> String {
        let confused = match fault {
            Fault::Missing => self.confused_with(&self.shown(field)),
            _ => String::new(),
        };
        format!("{} {fault}{confused}", self.place(field))
    }

    /// The end of an error text for a missing field: the most similar one that was passed over.
    pub(super) fn confused_with(&self, missing: &str) -> String {
        let passed_over = self.passed_over.iter().map(String::as_str);
        match nearest(missing, passed_over).first() {
            Some(name) => format!("; there is '{name}'"),
            None => String::new(),
        }
    }

    /// Fails if a field that was passed over is nearly the name of an input that is absent.
    pub(super) fn check_misspelt(&self, index: usize, has: bool) -> Result<(), String> {
        let Some(input) = self.inputs.get(index).filter(|_| !has) else { return Ok(()) };
        let misspelt = self.passed_over.iter().find(|name| is_misspelt(name, &input.spec.name));

        misspelt.map_or(Ok(()), |name| {
            Err(format!("unknown field '{name}'; did you mean '{}'?", shorten(&input.spec.name)))
        })
    }

    fn check_free(&self, field: usize) -> Result<(), String> {
        let column = field.checked_sub(self.inputs.len());
        let (cell, both) = match column {
            None => {
                let matrix = self.fields.columns().is_some_and(|(input, _)| input == field);
                (self.inputs.get(field).map(|input| &input.cell), matrix && self.any_column)
            }
            Some(column) => {
                let input = self.fields.columns().and_then(|(input, _)| self.inputs.get(input));
                let whole = input.is_some_and(|input| input.cell != Cell::Missing);
                (self.columns.get(column), whole)
            }
        };

        match cell {
            Some(Cell::Missing) if !both => Ok(()),
            Some(Cell::Missing) => Err("it is given as a list and by its columns".into()),
            _ => Err("it is given twice".into()),
        }
    }

    fn put(&mut self, field: usize, cell: Cell) {
        match field.checked_sub(self.inputs.len()) {
            None => {
                if let Some(input) = self.inputs.get_mut(field) {
                    input.cell = cell;
                }
            }
            Some(column) => {
                self.any_column = true;
                if let Some(place) = self.columns.get_mut(column) {
                    *place = cell;
                }
            }
        }
    }

    /// The place of an error in the table.
    fn place(&self, field: usize) -> String {
        match self.label {
            Some(label) => label(self, field),
            None => format!("row {}: field '{}'", self.rows, self.shown(field)),
        }
    }

    pub(super) fn shown(&self, field: usize) -> String {
        shorten(&self.fields.name(field))
    }

    /// Starts an error text about the present row.
    pub(super) fn row_error(&self, text: &str) -> String {
        format!("row {}: {text}", self.rows)
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
