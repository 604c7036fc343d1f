//! The rows of one input, stacked.

use std::ops::Range;

use super::super::json::{JsonError, Reader, shorten};
use super::super::oip::fitted_tensor::{
    fit_shape, nested_shape, nesting_depth, read_fitted_tensor,
};
use super::super::oip::tensor_json::append_data;
use super::cell::{lenient_reader, push_nan};
use super::text_cell;
use crate::model::{Datatype, Tensor, TensorSpec, push_bytes_element};

/// The rows of one input.
pub(super) struct InputRows<'t> {
    pub(super) spec: &'t TensorSpec,
    /// The shape of one row, or of the whole tensor. `None` until it is known.
    pub(super) shape: Option<Vec<u64>>,
    /// True if a list of one element may stand for a value.
    takes_lists_of_one: bool,
    pub(super) data: Vec<u8>,
    /// The cell of the present row.
    pub(super) cell: Cell,
    /// The number of rows with a value.
    present: u64,
    /// The first row that has neither a value nor NaN in its place.
    empty: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Missing,
    Null,
    /// The bytes of a column's cell. Cells of inputs are in their rows already.
    Value(Range<usize>),
}

/// The reason that a row has no value for a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Missing,
    Null,
    /// The value is null, and the field holds texts.
    NullText,
    /// Other rows have one.
    Uneven,
}

impl Fault {
    pub(super) fn of(cell: &Cell) -> Fault {
        if *cell == Cell::Missing { Fault::Missing } else { Fault::Null }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Fault::Missing => "is missing",
            Fault::Null => "has no value, and its datatype has none that stands for a missing one",
            Fault::NullText => {
                "has no value, and this model takes no missing text; send a text, which may be empty"
            }
            Fault::Uneven => "has no value, and in other rows it has one",
        })
    }
}

impl<'t> InputRows<'t> {
    pub(super) fn new(spec: &'t TensorSpec, stacked: bool, takes_lists_of_one: bool) -> Self {
        let dimensions = row_dimensions(spec, stacked);
        let fixed: Option<Vec<u64>> =
            dimensions.iter().map(|&dimension| u64::try_from(dimension).ok()).collect();

        // A whole tensor takes its shape from its value, or it has one element.
        let shape = if stacked { fixed } else { fit_shape(spec, 1).ok() };

        InputRows {
            spec,
            shape,
            takes_lists_of_one,
            data: Vec::new(),
            cell: Cell::Missing,
            present: 0,
            empty: None,
        }
    }

    pub(super) fn read_json(
        &mut self,
        reader: &mut Reader<'_>,
        stacked: bool,
    ) -> Result<(), JsonError> {
        let element = lenient_reader(self.spec.datatype);
        if !stacked {
            let Tensor { shape, data, .. } = read_fitted_tensor(reader, self.spec, element)?;
            if !self.spec.accepts_shape(&shape) {
                let expected = &self.spec.shape;
                return Err(reader.error(format!("it has shape {shape:?}, expected {expected:?}")));
            }
            (self.shape, self.data) = (Some(shape), data);
            return Ok(());
        }

        let list = reader.peek() == Some(b'[');
        if self.is_single() && !list {
            return element(reader, &mut self.data);
        }

        let shape = self.list_shape(reader)?;
        append_data(reader, self.spec.datatype, &shape, element, &mut self.data)
    }

    /// Returns the shape of a list, which is the same in every row.
    fn list_shape(&mut self, reader: &Reader<'_>) -> Result<Vec<u64>, JsonError> {
        let dimensions = row_dimensions(self.spec, true);
        // A list of one stands for a value: clients write columns as `[N, 1]`.
        if dimensions.is_empty() {
            let list = "expected a value, found a list";
            return if self.takes_lists_of_one { Ok(vec![1]) } else { Err(reader.error(list)) };
        }
        if let Some(shape) = self.shape.as_ref().filter(|_| !dimensions.contains(&-1)) {
            return Ok(shape.clone());
        }

        let depth = nesting_depth(reader, dimensions.len() + 1);
        if depth != dimensions.len() {
            return Err(
                reader.error(format!("the data must be nested like the shape {dimensions:?}"))
            );
        }

        let shape = nested_shape(reader, depth)?;
        let fits = shape.iter().zip(dimensions).all(|(&length, &dimension)| {
            u64::try_from(dimension).is_ok_and(|known| known == length) || dimension < 0
        });
        if !fits {
            return Err(reader.error(format!("it has shape {shape:?}, expected {dimensions:?}")));
        }

        match &self.shape {
            Some(before) if *before != shape => {
                Err(reader
                    .error(format!("it has shape {shape:?}, and {before:?} in the rows before")))
            }
            _ => {
                self.shape = Some(shape.clone());
                Ok(shape)
            }
        }
    }

    pub(super) fn read_text(&mut self, text: &str, stacked: bool) -> Result<(), String> {
        if !stacked {
            self.shape = Some(fit_shape(self.spec, 1)?);
        } else if !self.is_single() {
            let dimensions = row_dimensions(self.spec, true);
            return Err(format!(
                "a cell cannot hold a list of the shape {dimensions:?}; send JSON"
            ));
        }

        text_cell::append(text, self.spec.datatype, &mut self.data)
    }

    /// Reads one element from each text.
    pub(super) fn read_list<'b>(
        &mut self,
        texts: impl ExactSizeIterator<Item = &'b [u8]>,
        stacked: bool,
    ) -> Result<(), String> {
        let count = texts.len() as u64;
        let shape = self.fitted_shape(count, stacked).map_err(|unfit| match self.is_single() {
            true => "it is given twice".into(),
            false => unfit,
        })?;

        self.shape = Some(shape);
        for text in texts {
            match (self.spec.datatype, std::str::from_utf8(text)) {
                (Datatype::Bytes, _) => push_bytes_element(&mut self.data, text)?,
                (datatype, Ok(text)) => text_cell::append(text, datatype, &mut self.data)?,
                (_, Err(_)) => return Err("it is not UTF-8".into()),
            }
        }

        Ok(())
    }

    /// Takes bytes as the elements of a number's datatype, in little-endian order.
    pub(super) fn read_elements(&mut self, bytes: &[u8], stacked: bool) -> Result<(), String> {
        let datatype = self.spec.datatype;
        let length = bytes.len() as u64;
        let size = datatype.size().filter(|&size| length.is_multiple_of(size));
        let size = size.ok_or_else(|| {
            format!("{length} bytes are no whole number of elements of {datatype}")
        })?;

        self.shape = Some(self.fitted_shape(length / size, stacked)?);
        self.data.extend_from_slice(bytes);

        Ok(())
    }

    /// The shape of one row, or of the whole tensor, for this number of elements.
    fn fitted_shape(&self, elements: u64, stacked: bool) -> Result<Vec<u64>, String> {
        let row = TensorSpec {
            shape: row_dimensions(self.spec, stacked).to_vec(),
            ..TensorSpec::clone(self.spec)
        };
        fit_shape(&row, elements)
    }

    /// True if a row has a single element.
    fn is_single(&self) -> bool {
        self.shape.as_ref().is_some_and(|shape| shape.iter().all(|&dimension| dimension == 1))
    }

    /// Returns the shape of a whole tensor that is a row of `width` columns.
    pub(super) fn column_shape(&self, width: u64) -> Option<Vec<u64>> {
        match self.spec.shape.len() {
            1 => Some(vec![width]),
            2 => Some(vec![1, width]),
            _ => None,
        }
    }

    /// Ends a row. The value of a missing number is NaN.
    pub(super) fn end_row(&mut self, row: u64) -> Result<(), Fault> {
        if matches!(self.cell, Cell::Value(_)) {
            self.present += 1;
            return Ok(());
        }

        if !self.spec.optional && self.cell == Cell::Missing {
            return Err(Fault::Missing);
        }

        let filled = self.fill_with_nan();
        if !filled && !self.spec.optional {
            let is_text = self.spec.datatype == Datatype::Bytes;
            return Err(if is_text { Fault::NullText } else { Fault::Null });
        }
        if !filled && self.empty.is_none() {
            self.empty = Some(row);
        }

        Ok(())
    }

    /// Appends an empty text. Returns false if a row has more elements than one.
    pub(super) fn put_empty_text(&mut self) -> bool {
        self.is_single() && push_bytes_element(&mut self.data, b"").is_ok()
    }

    /// Appends NaN in place of a missing number. Returns false if that is not possible.
    fn fill_with_nan(&mut self) -> bool {
        // A list would let a few bytes of a request stand for a large tensor.
        self.is_single() && push_nan(&mut self.data, self.spec.datatype)
    }

    /// Returns the tensor, `None` if it is absent.
    pub(super) fn finish(self, rows: u64, stacked: bool) -> Result<Option<Tensor>, String> {
        let InputRows { spec, shape, data, present, empty, .. } = self;
        if present == 0 && spec.optional {
            return Ok(None);
        }
        if let Some(row) = empty {
            return Err(format!("row {row}: field '{}' {}", shorten(&spec.name), Fault::Uneven));
        }

        // Without rows, dimensions of any length have none.
        let row = shape.unwrap_or_else(|| {
            let any = row_dimensions(spec, stacked).iter();
            any.map(|&dimension| u64::try_from(dimension).unwrap_or_default()).collect()
        });
        let shape = if stacked { std::iter::once(rows).chain(row).collect() } else { row };

        Ok(Some(Tensor { name: spec.name.clone(), datatype: spec.datatype, shape, data }))
    }
}

/// The dimensions of one row, or of the whole tensor.
fn row_dimensions(spec: &TensorSpec, stacked: bool) -> &[i64] {
    match spec.shape.split_first() {
        Some((_, row)) if stacked => row,
        _ => &spec.shape,
    }
}
