//! Packing a right matrix: panels of 16 columns, one row of a panel after the other.

use crate::error::{at_least, exactly, length, positive, product};
use crate::progress::run_pieces;
use crate::simd::PANEL;
use crate::{Checkpoint, Error, InstructionSet, Strides};

/// The packing of the right matrix of a [`Matmul`](crate::Matmul).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Rows of the matrix: the inner size of the product.
    pub inner: u32,
    /// Columns of the matrix.
    pub columns: u32,
    /// The layout of the matrix. The stride of a batch has no meaning.
    pub strides: Strides,
}

/// The most rows of a piece of work.
const DEPTH: usize = 4096;

impl Packing {
    /// Returns the numbers of the packed matrix. The columns beyond the last one are 0.
    ///
    /// # Errors
    /// If a size is 0 or the result is too large.
    pub fn packed_len(&self) -> Result<u64, Error> {
        packed_len(
            positive(self.inner, "the inner size")?,
            positive(self.columns, "the number of columns")?,
        )
    }

    /// Packs a matrix, from the position `start`, which is 0 at first. Returns the position at
    /// which to continue if the checkpoint broke; `None` at the end.
    ///
    /// # Errors
    /// If a size is 0 or too large, or a slice does not have its length.
    pub fn run(
        &self,
        values: &[f32],
        packed: &mut [f32],
        start: u64,
        checkpoint: Checkpoint<'_>,
    ) -> Result<Option<u64>, Error> {
        exactly(packed, self.packed_len()?, "the packed matrix")?;
        let shape = [1, self.inner.into(), self.columns.into()];
        at_least(values, self.strides.extent(shape, "the matrix")?, "the matrix")?;

        let inner = length(self.inner.into(), "the inner size")?;
        let columns = length(self.columns.into(), "the number of columns")?;
        let [row, column] = [self.strides.row as usize, self.strides.column as usize];
        let depth_pieces = inner.div_ceil(DEPTH);
        let pieces = (columns.div_ceil(PANEL) as u64) * depth_pieces as u64;

        run_pieces(InstructionSet::PORTABLE, start, pieces, checkpoint, |piece| {
            let first = (piece / depth_pieces as u64) as usize * PANEL;
            let depth = (piece % depth_pieces as u64) as usize * DEPTH;
            let depths = DEPTH.min(inner - depth);

            pack_block(
                &values[depth * row + first * column..],
                [row, column],
                depths,
                PANEL.min(columns - first),
                &mut packed[first * inner + depth * PANEL..],
                [PANEL, 0],
            );
            (depths * PANEL) as u64
        })
    }
}

/// Returns the numbers of a packed matrix.
pub(super) fn packed_len(inner: u64, columns: u64) -> Result<u64, Error> {
    product(&[inner, columns.next_multiple_of(PANEL as u64)], "the packed matrix")
}

/// Packs a block of a matrix with that distance between its rows and its columns. A row of a panel
/// and a panel are `[depth, panel]` numbers apart in the packed block.
pub(crate) fn pack_block(
    values: &[f32],
    [row, column]: [usize; 2],
    depths: usize,
    columns: usize,
    packed: &mut [f32],
    [packed_depth, packed_panel]: [usize; 2],
) {
    for (panel, first) in (0..columns).step_by(PANEL).enumerate() {
        let count = PANEL.min(columns - first);
        let packed = &mut packed[panel * packed_panel..];

        for depth in 0..depths {
            let values = &values[depth * row + first * column..];
            let packed = &mut packed[depth * packed_depth..][..PANEL];

            if column == 1 && count == PANEL {
                packed.copy_from_slice(&values[..PANEL]);
                continue;
            }

            packed[count..].fill(0.0);
            let values = values.iter().step_by(column.max(1));
            // A stride of 0 repeats one number.
            if column == 0 {
                packed[..count].fill(values.clone().next().copied().unwrap_or_default());
            } else {
                packed[..count].iter_mut().zip(values).for_each(|(to, from)| *to = *from);
            }
        }
    }
}
