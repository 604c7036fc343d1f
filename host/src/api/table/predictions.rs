//! Writes the outputs of a model as rows of JSON.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use half::{bf16, f16};

use super::super::json::{EXPANSION, shorten, write_float, write_integer, write_string};
use super::row_layout::{Layout, varies_by_row};
use crate::model::{Datatype, InferError, InferResponse, Metadata, Tensor, TensorSpec};
use crate::tenant::Pacer;

/// The notation of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Style {
    /// Dimensions that the model fixes at 1 are left out, so a row of one number is that number.
    /// JSON has no number that is not finite; it is null.
    Flat,
    /// The same with bare words for numbers that are not finite, as MLflow writes and reads them.
    Mlflow,
    /// As TensorFlow Serving does: nested in the tensor's shape, with bare words for numbers that
    /// are not finite.
    Nested,
}

/// Writes values into a body of bounded size.
pub(in crate::api) struct PredictionWriter<'w> {
    pub(in crate::api) out: Vec<u8>,
    style: Style,
    limit: usize,
    /// Length of the body at the next checkpoint.
    checkpoint: usize,
    pacer: &'w Pacer,
}

/// Bytes of a body between two checkpoints.
const STEP: usize = 32 << 10;

/// One output while its rows are written.
pub(in crate::api) struct Output<'t> {
    tensor: &'t Tensor,
    /// The dimensions of one row. A dimension that is left out is `None`.
    dimensions: Vec<Option<u64>>,
    /// The elements that have not been written.
    rest: &'t [u8],
    /// True if every row has the whole output.
    is_shared: bool,
}

impl<'w> PredictionWriter<'w> {
    /// Starts a body for a model whose response has at most `limit` bytes.
    pub(in crate::api) fn new(
        style: Style,
        response: &InferResponse,
        limit: u64,
        pacer: &'w Pacer,
    ) -> Self {
        let text = usize::try_from(limit.saturating_mul(EXPANSION)).unwrap_or(usize::MAX);
        let estimate = response.size().saturating_mul(3).saturating_add(128);
        let out = Vec::with_capacity(usize::try_from(estimate).unwrap_or(usize::MAX).min(text));

        PredictionWriter { out, style, limit: text, checkpoint: STEP, pacer }
    }

    /// Writes the list of the rows. Several outputs become an object. Fails with
    /// [`InferError::NotJson`] if JSON cannot represent a value.
    pub(in crate::api) fn write_rows(
        &mut self,
        metadata: &Metadata,
        response: &InferResponse,
        layout: Layout,
    ) -> Result<(), InferError> {
        let (rows, stacked) = match layout {
            Layout::Rows(rows) => (rows, true),
            Layout::Whole => (1, false),
        };

        let mut outputs = Vec::with_capacity(response.outputs.len());
        for tensor in &response.outputs {
            let spec = metadata.outputs.iter().find(|spec| spec.name == tensor.name);
            outputs.push(Output::new(tensor, spec, stacked.then_some(rows), self.style)?);
        }

        let single = is_single(metadata);
        self.out.push(b'[');
        for row in 0..rows {
            if row > 0 {
                self.out.push(b',');
            }
            self.write_row(&mut outputs, single)?;
        }
        self.out.push(b']');

        Ok(())
    }

    fn write_row(&mut self, outputs: &mut [Output<'_>], single: bool) -> Result<(), InferError> {
        if single && let [output] = outputs {
            return self.write_output(output);
        }

        self.out.push(b'{');
        for (index, output) in outputs.iter_mut().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            write_string(&mut self.out, &output.tensor.name);
            self.out.push(b':');
            self.write_output(output)?;
        }
        self.out.push(b'}');

        self.check_length()
    }

    /// Writes the next row of an output, or the whole output.
    pub(in crate::api) fn write_output(
        &mut self,
        output: &mut Output<'_>,
    ) -> Result<(), InferError> {
        if output.is_shared {
            output.rest = &output.tensor.data;
        }

        let Output { tensor, dimensions, rest, .. } = output;
        self.write_value(tensor, dimensions, rest)
    }

    /// Writes a whole tensor, nested in its shape.
    pub(in crate::api) fn write_tensor(&mut self, tensor: &Tensor) -> Result<(), InferError> {
        let dimensions: Vec<_> = tensor.shape.iter().map(|&dimension| Some(dimension)).collect();
        self.write_value(tensor, &dimensions, &mut tensor.data.as_slice())
    }

    fn write_value(
        &mut self,
        tensor: &Tensor,
        dimensions: &[Option<u64>],
        rest: &mut &[u8],
    ) -> Result<(), InferError> {
        match dimensions.split_first() {
            None => self.write_element(tensor, rest),
            Some((None, inner)) => self.write_value(tensor, inner, rest),
            Some((Some(length), inner)) => {
                self.out.push(b'[');
                for index in 0..*length {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    self.write_value(tensor, inner, rest)?;
                }
                self.out.push(b']');
                self.check_length()
            }
        }
    }

    /// Writes the next element of a tensor.
    pub(in crate::api) fn write_element(
        &mut self,
        tensor: &Tensor,
        rest: &mut &[u8],
    ) -> Result<(), InferError> {
        let written = write_element(&mut self.out, tensor.datatype, rest, self.style);
        written.map_err(|error| {
            InferError::NotJson(format!("output '{}' {error}", shorten(&tensor.name)))
        })?;
        self.check_length()
    }

    /// Yields from time to time. Fails if the body has become too long.
    pub(in crate::api) fn check_length(&mut self) -> Result<(), InferError> {
        if self.out.len() < self.checkpoint.min(self.limit) {
            return Ok(());
        }
        if self.out.len() > self.limit {
            return Err(InferError::ResponseTooLarge { limit: self.limit as u64 });
        }

        self.checkpoint = self.out.len().saturating_add(STEP);
        Ok(self.pacer.checkpoint()?)
    }
}

/// Returns the rows of an output and the elements of each. Fails if it has other rows than the
/// request.
pub(in crate::api) fn elements_by_row(
    tensor: &Tensor,
    layout: Layout,
) -> Result<(u64, u64), InferError> {
    let (rows, row) = match (layout, tensor.shape.split_first()) {
        (Layout::Rows(rows), Some((&first, row))) if first == rows => (rows, row),
        (Layout::Rows(rows), _) => return Err(other_rows(tensor, rows)),
        (Layout::Whole, _) => (1, tensor.shape.as_slice()),
    };

    let elements = row.iter().try_fold(1u64, |product, &length| product.checked_mul(length));
    Ok((rows, elements.unwrap_or(u64::MAX)))
}

fn other_rows(tensor: &Tensor, rows: u64) -> InferError {
    let (name, shape) = (shorten(&tensor.name), &tensor.shape);
    let text = format!("output '{name}' has the shape {shape:?} for {rows} rows of the request");
    InferError::InvalidInput(format!("{text}; send one row in each request"))
}

/// True if a row of the model's answer is a value, and no object of several outputs.
pub(in crate::api) fn is_single(metadata: &Metadata) -> bool {
    metadata.outputs.len() == 1
}

impl<'t> Output<'t> {
    /// Prepares the rows of an output. `rows` is their number, `None` to write the output as a
    /// whole. Fails if it has another number of rows.
    pub(in crate::api) fn new(
        tensor: &'t Tensor,
        spec: Option<&TensorSpec>,
        rows: Option<u64>,
        style: Style,
    ) -> Result<Self, InferError> {
        let by_row = rows.is_some() && spec.is_some_and(varies_by_row);
        let (first, row) = match tensor.shape.split_first() {
            Some((first, row)) if by_row => (Some(*first), row),
            _ => (None, tensor.shape.as_slice()),
        };

        if by_row && first != rows {
            return Err(other_rows(tensor, rows.unwrap_or_default()));
        }

        let skipped = tensor.shape.len() - row.len();
        let fixed = spec.map_or(&[][..], |spec| spec.shape.get(skipped..).unwrap_or_default());
        let is_left_out = |place: usize| style != Style::Nested && fixed.get(place) == Some(&1);
        let dimensions = row
            .iter()
            .enumerate()
            .map(|(place, &dimension)| (!is_left_out(place)).then_some(dimension))
            .collect();

        Ok(Output { tensor, dimensions, rest: &tensor.data, is_shared: !by_row })
    }
}

/// Writes the next element. Fails with the reason if JSON cannot represent it.
fn write_element(
    out: &mut Vec<u8>,
    datatype: Datatype,
    rest: &mut &[u8],
    style: Style,
) -> Result<(), &'static str> {
    match datatype {
        Datatype::Bool => {
            let [byte] = take(rest)?;
            out.extend_from_slice(if byte == 0 { b"false" } else { b"true" });
        }
        Datatype::Uint8 => write_integer(out, u8::from_le_bytes(take(rest)?)),
        Datatype::Uint16 => write_integer(out, u16::from_le_bytes(take(rest)?)),
        Datatype::Uint32 => write_integer(out, u32::from_le_bytes(take(rest)?)),
        Datatype::Uint64 => write_integer(out, u64::from_le_bytes(take(rest)?)),
        Datatype::Int8 => write_integer(out, i8::from_le_bytes(take(rest)?)),
        Datatype::Int16 => write_integer(out, i16::from_le_bytes(take(rest)?)),
        Datatype::Int32 => write_integer(out, i32::from_le_bytes(take(rest)?)),
        Datatype::Int64 => write_integer(out, i64::from_le_bytes(take(rest)?)),
        Datatype::Fp16 => write_number(out, f16::from_le_bytes(take(rest)?).to_f32(), style),
        Datatype::Bf16 => write_number(out, bf16::from_le_bytes(take(rest)?).to_f32(), style),
        Datatype::Fp32 => write_number(out, f32::from_le_bytes(take(rest)?), style),
        Datatype::Fp64 => write_number(out, f64::from_le_bytes(take(rest)?), style),
        Datatype::Bytes => write_bytes(out, rest)?,
    }

    Ok(())
}

const CUT_OFF: &str = "has fewer elements than its shape";

fn take<const SIZE: usize>(rest: &mut &[u8]) -> Result<[u8; SIZE], &'static str> {
    let (element, after) = rest.split_first_chunk().ok_or(CUT_OFF)?;
    *rest = after;
    Ok(*element)
}

fn write_number<T: zmij::Float + Into<f64> + Copy>(out: &mut Vec<u8>, value: T, style: Style) {
    let wide: f64 = value.into();
    if wide.is_finite() {
        write_float(out, value);
        return;
    }

    let word: &[u8] = match (style, wide) {
        (Style::Flat, _) => b"null",
        (_, f64::INFINITY) => b"Infinity",
        (_, f64::NEG_INFINITY) => b"-Infinity",
        _ => b"NaN",
    };
    out.extend_from_slice(word);
}

/// Writes a text, or bytes that are none as base64.
fn write_bytes(out: &mut Vec<u8>, rest: &mut &[u8]) -> Result<(), &'static str> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let (element, after) = rest.split_at_checked(length).ok_or(CUT_OFF)?;
    *rest = after;

    match std::str::from_utf8(element) {
        Ok(text) => write_string(out, text),
        Err(_) => {
            out.extend_from_slice(b"{\"b64\":");
            write_string(out, &BASE64_STANDARD.encode(element));
            out.push(b'}');
        }
    }

    Ok(())
}
