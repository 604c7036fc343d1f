//! Softmax of the rows of a matrix.

use crate::error::{exactly, positive, product};
use crate::functions::exp;
use crate::progress::run_pieces;
use crate::simd::Loop;
use crate::{Checkpoint, Error, InstructionSet};

/// The softmax of each row of a dense matrix, in place: `exp(x - greatest)`, divided by their sum.
/// A row with something that is not a number, or with an infinite greatest number, is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// Rows.
    pub rows: u32,
    /// Numbers of a row, at most [`Softmax::MAX_COLUMNS`].
    pub columns: u32,
}

/// The most numbers of a piece of work, unless a row has more.
const PIECE: usize = 16 << 10;

/// The time that a number takes, in multiplications of a product of matrices.
const MULTIPLICATIONS: u64 = 32;

/// Numbers that are joined side by side.
const LANES: usize = 16;

impl Softmax {
    /// The most numbers of a row, which is computed without a checkpoint.
    pub const MAX_COLUMNS: u32 = 1 << 18;

    /// Computes from the position `start`, which is 0 at first, with the best instruction set.
    /// Returns the position at which to continue if the checkpoint broke; `None` at the end.
    ///
    /// # Errors
    /// If a size is 0 or too large, or there are not that many values. Nothing is written then.
    pub fn run(
        &self,
        values: &mut [f32],
        start: u64,
        checkpoint: Checkpoint<'_>,
    ) -> Result<Option<u64>, Error> {
        self.run_with(InstructionSet::best(), values, start, checkpoint)
    }

    /// [`Softmax::run`] with a given instruction set.
    ///
    /// # Errors
    /// As [`Softmax::run`].
    pub fn run_with(
        &self,
        set: InstructionSet,
        values: &mut [f32],
        start: u64,
        checkpoint: Checkpoint<'_>,
    ) -> Result<Option<u64>, Error> {
        let rows = positive(self.rows, "the number of rows")?;
        let columns = positive(self.columns, "the number of columns")?;
        if self.columns > Self::MAX_COLUMNS {
            return Err(Error::TooLarge("the number of columns"));
        }
        exactly(values, product(&[rows, columns], "the matrix")?, "the matrix")?;

        let columns = columns as usize;
        let piece = (PIECE / columns).max(1) * columns;
        let pieces = values.len().div_ceil(piece) as u64;

        run_pieces(set, start, pieces, checkpoint, |index| {
            let first = index as usize * piece;
            let end = values.len().min(first + piece);
            set.compiled(Rows { values: &mut values[first..end], columns });
            (end - first) as u64 * MULTIPLICATIONS
        })
    }
}

/// Whole rows.
struct Rows<'a> {
    values: &'a mut [f32],
    columns: usize,
}

impl Loop for Rows<'_> {
    #[inline(always)]
    fn run(self) {
        for row in self.values.chunks_exact_mut(self.columns) {
            let greatest = greatest(row);
            let sum = exponentials(row, greatest);
            for value in row {
                *value /= sum;
            }
        }
    }
}

#[inline(always)]
fn greatest(row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = if chunk[lane] > lanes[lane] { chunk[lane] } else { lanes[lane] };
        }
    }

    let mut greatest = f32::NEG_INFINITY;
    for lane in lanes {
        greatest = if lane > greatest { lane } else { greatest };
    }
    for value in rest {
        greatest = if *value > greatest { *value } else { greatest };
    }
    greatest
}

/// Replaces the numbers by the exponentials of their distances from the greatest. Returns the sum.
#[inline(always)]
fn exponentials(row: &mut [f32], greatest: f32) -> f32 {
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            chunk[lane] = exp(chunk[lane] - greatest);
            lanes[lane] += chunk[lane];
        }
    }

    let mut sum = 0.0;
    for lane in lanes {
        sum += lane;
    }
    for value in rest {
        *value = exp(*value - greatest);
        sum += *value;
    }
    sum
}
