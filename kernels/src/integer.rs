//! Products of matrices of 8-bit integers.

mod finish;
mod packing;
mod product;

pub use packing::IntegerPacking;

use crate::error::{at_least, exactly, length, positive, product};
use crate::team::Alone;
use crate::work::run_work;
use crate::{Activation, Checkpoint, Error, InstructionSet, Team};
use product::Product;

/// A product of matrices of 8-bit integers, with exact sums:
/// `(left - left_zero) * (right - right_zero)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntegerMatmul {
    /// Rows of the left matrix and of the output.
    pub rows: u32,
    /// Columns of the left matrix and rows of the right one; at most [`IntegerMatmul::MAX_INNER`].
    pub inner: u32,
    /// Columns of the right matrix and of the output.
    pub columns: u32,
    /// Elements between two rows of the left matrix.
    pub left_stride: u32,
    /// The left integers are signed.
    pub left_signed: bool,
    /// The left integer that means 0.
    pub left_zero: i32,
    /// Applied to an output of [`IntegerOutput::Float`].
    pub activation: Activation,
}

/// The slices of an [`IntegerMatmul`].
#[derive(Debug)]
pub struct IntegerData<'a> {
    /// The left matrix, the bits of its integers.
    pub left: &'a [u8],
    /// The right matrix, packed by an [`IntegerPacking`].
    pub right: &'a [u8],
    /// The right integers that mean 0: none if that is 0, one for all, or one for each column.
    pub right_zero: &'a [i32],
    /// The result. Its rows are in order.
    pub output: IntegerOutput<'a>,
}

/// The result of an [`IntegerMatmul`]. Of scales there is one for all columns or one for each.
#[derive(Debug)]
pub enum IntegerOutput<'a> {
    /// The sums.
    Int32(&'a mut [i32]),
    /// `activation(sum * scale + bias + residual)`.
    Float {
        /// The scales.
        scale: &'a [f32],
        /// None, or one for each column.
        bias: &'a [f32],
        /// None, or as many as the output has.
        residual: &'a [f32],
        /// The numbers.
        output: &'a mut [f32],
    },
    /// `(sum + bias) * scale + zero`, rounded to the nearest integer, halves to the even one, and
    /// limited to 8 bits.
    Quantized {
        /// The scales.
        scale: &'a [f32],
        /// None, or one for each column.
        bias: &'a [i32],
        /// The integer that means 0.
        zero: i32,
        /// The integers are signed.
        signed: bool,
        /// The bits of the integers.
        output: &'a mut [u8],
    },
}

impl IntegerMatmul {
    /// The greatest inner size. Sums of more products could exceed 32 bits.
    pub const MAX_INNER: u32 = 1 << 16;

    /// Computes from the position `start`, which is 0 at first, with the best instruction set.
    /// Returns the position at which to continue if the checkpoint broke; `None` at the end.
    ///
    /// # Errors
    /// If the description is not valid or does not fit the slices. Nothing is written then.
    pub fn run(
        &self,
        data: IntegerData<'_>,
        start: u64,
        checkpoint: Checkpoint<'_>,
    ) -> Result<Option<u64>, Error> {
        self.run_with(InstructionSet::best(), data, start, checkpoint)
    }

    /// [`IntegerMatmul::run`] with a given instruction set.
    ///
    /// # Errors
    /// As [`IntegerMatmul::run`].
    pub fn run_with(
        &self,
        set: InstructionSet,
        data: IntegerData<'_>,
        start: u64,
        checkpoint: Checkpoint<'_>,
    ) -> Result<Option<u64>, Error> {
        self.run_by(set, data, start, &mut Alone(checkpoint))
    }

    /// [`IntegerMatmul::run_with`] on the threads of a team.
    ///
    /// # Errors
    /// As [`IntegerMatmul::run`].
    pub fn run_by(
        &self,
        set: InstructionSet,
        data: IntegerData<'_>,
        start: u64,
        team: &mut dyn Team,
    ) -> Result<Option<u64>, Error> {
        let sizes = self.check(&data)?;
        run_work(&Product::new(self, data, sizes, set)?, set, start, team)
    }

    /// Checks everything. Returns the rows, the inner size and the columns.
    fn check(&self, data: &IntegerData<'_>) -> Result<[usize; 3], Error> {
        let rows = positive(self.rows, "the number of rows")?;
        let inner = positive(self.inner, "the inner size")?;
        let columns = positive(self.columns, "the number of columns")?;
        if self.inner > Self::MAX_INNER {
            return Err(Error::TooLarge("the inner size"));
        }

        let left = (rows - 1).checked_mul(self.left_stride.into());
        let left = left.and_then(|left| left.checked_add(inner)).ok_or(Error::TooLarge("left"))?;
        at_least(data.left, left, "left")?;
        one_or_all(data.right_zero, columns, 0, "the zero points")?;

        let elements = product(&[rows, columns], "the output")?;
        match &data.output {
            IntegerOutput::Int32(output) => exactly(output, elements, "the output")?,
            IntegerOutput::Float { scale, bias, residual, output } => {
                one_or_all(scale, columns, 1, "the scales")?;
                none_or_all(bias, columns, "the bias")?;
                none_or_all(residual, elements, "the residual")?;
                exactly(output, elements, "the output")?;
            }
            IntegerOutput::Quantized { scale, bias, output, .. } => {
                one_or_all(scale, columns, 1, "the scales")?;
                none_or_all(bias, columns, "the bias")?;
                exactly(output, elements, "the output")?;
            }
        }

        Ok([
            length(rows, "the number of rows")?,
            length(inner, "the inner size")?,
            length(columns, "the number of columns")?,
        ])
    }
}

/// Fails unless there is nothing, or one element for each of `all`.
fn none_or_all<T>(slice: &[T], all: u64, name: &'static str) -> Result<(), Error> {
    if slice.is_empty() { Ok(()) } else { exactly(slice, all, name) }
}

/// Fails unless there is one element for all or for each of `all`, or `least` elements.
fn one_or_all<T>(slice: &[T], all: u64, least: usize, name: &'static str) -> Result<(), Error> {
    if slice.len() == 1 || slice.len() == least { Ok(()) } else { exactly(slice, all, name) }
}
