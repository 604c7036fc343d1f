//! Reads the values of the present row: from JSON, from CSV, from texts and from bytes.

use std::borrow::Cow;

use super::TableBuilder;
use crate::api::json::{JsonError, Reader};
use crate::api::table::cell::lenient_reader;
use crate::api::table::input_rows::{Cell, InputRows};
use crate::api::table::text_cell;
use crate::model::Datatype;

impl TableBuilder<'_> {
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
    pub(in crate::api::table) fn read_text(
        &mut self,
        text: &str,
        field: usize,
    ) -> Result<(), String> {
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
}
