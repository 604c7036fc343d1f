//! Products of matrices of 8-bit integers.

mod finish;
mod packing;

pub use packing::IntegerPacking;

use crate::error::{at_least, exactly, length, positive, product};
use crate::progress::run_pieces;
use crate::scratch::with_bytes;
use crate::simd::{GROUP, IntegerBlock, PANEL};
use crate::{Activation, Checkpoint, Error, InstructionSet};
use finish::Corrections;
use packing::Packed;

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

/// The most rows and columns of a piece of work.
const ROWS: usize = 64;
const COLUMNS: usize = 3 * PANEL;

/// The most left integers of a piece of work, which has fewer rows if they are long.
const LEFT: usize = 128 << 10;

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
        let [rows, inner, columns] = self.check(&data)?;
        let packed = Packed::new(data.right, inner, columns)?;
        let depth = inner.next_multiple_of(GROUP);
        let column_pieces = columns.div_ceil(COLUMNS) as u64;
        let rows_of_piece = (LEFT / depth).clamp(1, ROWS).min(rows);
        let row_pieces = rows.div_ceil(rows_of_piece) as u64;
        let pieces = product(&[row_pieces, column_pieces], "the product")?;

        let sizes = [rows, inner, columns];
        let mut work = Work { operation: self, data, set, packed, sizes, rows_of_piece };
        let mut prepared = None;

        with_bytes(rows_of_piece * depth, |left| {
            run_pieces(set, start, pieces, checkpoint, |piece| {
                let row = (piece / column_pieces) as usize * rows_of_piece;
                let column = (piece % column_pieces) as usize * COLUMNS;

                if prepared != Some(row) {
                    work.prepare_rows(row, left);
                    prepared = Some(row);
                }
                work.run(row, column, left)
            })
        })
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

/// A checked product.
struct Work<'a> {
    operation: &'a IntegerMatmul,
    data: IntegerData<'a>,
    set: InstructionSet,
    packed: Packed<'a>,
    /// The rows, the inner size and the columns.
    sizes: [usize; 3],
    rows_of_piece: usize,
}

impl Work<'_> {
    /// Copies rows of the left matrix as unsigned integers, filled up with 0 to whole groups.
    fn prepare_rows(&self, row: usize, left: &mut [u8]) {
        let [rows, inner, _] = self.sizes;
        let stride = self.operation.left_stride as usize;
        // Adds 128 to a signed integer.
        let flip = if self.operation.left_signed { 0x80 } else { 0 };

        let depth = inner.next_multiple_of(GROUP);
        for (row, to) in (row..rows).zip(left.chunks_exact_mut(depth)) {
            let from = &self.data.left[row * stride..][..inner];
            to[..inner].iter_mut().zip(from).for_each(|(to, from)| *to = *from ^ flip);
            to[inner..].fill(0);
        }
    }

    /// Computes a piece. Returns its multiplications.
    fn run(&mut self, row: usize, column: usize, left: &[u8]) -> u64 {
        let [all_rows, inner, all_columns] = self.sizes;
        let rows = self.rows_of_piece.min(all_rows - row);
        let columns = COLUMNS.min(all_columns - column);
        let mut sums = [0; ROWS * COLUMNS];

        let block = IntegerBlock {
            rows,
            panels: columns.div_ceil(PANEL),
            groups: inner.div_ceil(GROUP),
            left,
            right: self.packed.panels_from(column),
            right_panel: self.packed.panel(),
            sums: &mut sums,
            sums_row: COLUMNS,
        };
        block.run(self.set);

        let corrections = self.corrections(column, columns);
        let depth = inner.next_multiple_of(GROUP);
        for (index, sums) in sums.chunks_exact_mut(COLUMNS).take(rows).enumerate() {
            let sums = &mut sums[..columns];
            corrections.apply(sums, &left[index * depth..][..inner]);

            let start = (row + index) * all_columns + column;
            self.data.output.write(sums, column, start, self.operation.activation, self.set);
        }

        (rows * columns * inner) as u64
    }

    fn corrections(&self, column: usize, columns: usize) -> Corrections<COLUMNS> {
        let shift = if self.operation.left_signed { 128 } else { 0 };
        let left_zero = self.operation.left_zero.wrapping_add(shift);
        let right_zero = self.data.right_zero;

        let mut corrections = Corrections::new(left_zero, self.sizes[1]);
        for index in 0..columns {
            let zero = match right_zero {
                [] => 0,
                [zero] => *zero,
                zeros => zeros[column + index],
            };
            corrections.set(index, self.packed.column_sum(column + index), zero);
        }
        corrections
    }
}
