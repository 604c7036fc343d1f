//! Packing a right matrix of 8-bit integers.

use crate::error::{at_least, exactly, length, positive, product};
use crate::progress::run_pieces;
use crate::simd::{GROUP, PANEL};
use crate::{Checkpoint, Error, InstructionSet, Strides};

/// The packing of the right matrix of an [`IntegerMatmul`](crate::IntegerMatmul).
///
/// The packed matrix consists of panels of 16 columns; a panel has 4 integers of each column, then
/// the next 4 of each. The sums of all columns follow, with 32 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegerPacking {
    /// Rows of the matrix: the inner size of the product.
    pub inner: u32,
    /// Columns of the matrix.
    pub columns: u32,
    /// The layout of the matrix. The stride of a batch has no meaning.
    pub strides: Strides,
    /// The integers are signed. Unsigned ones become signed by subtracting 128, and so must their
    /// zero point.
    pub signed: bool,
}

/// Bytes of the sum of a column.
const SUM: usize = 4;

impl IntegerPacking {
    /// Returns the bytes of the packed matrix.
    ///
    /// # Errors
    /// If a size is 0 or the result is too large.
    pub fn packed_len(&self) -> Result<u64, Error> {
        packed_len(
            positive(self.inner, "the inner size")?,
            positive(self.columns, "the number of columns")?,
        )
    }

    /// Packs a matrix, given as the bits of its integers, from the position `start`, which is 0 at
    /// first. Returns the position at which to continue if the checkpoint broke; `None` at the end.
    ///
    /// # Errors
    /// If a size is 0 or too large, or a slice does not have its length.
    pub fn run(
        &self,
        values: &[u8],
        packed: &mut [u8],
        start: u64,
        checkpoint: Checkpoint<'_>,
    ) -> Result<Option<u64>, Error> {
        exactly(packed, self.packed_len()?, "the packed matrix")?;
        let shape = [1, self.inner.into(), self.columns.into()];
        at_least(values, self.strides.extent(shape, "the matrix")?, "the matrix")?;
        if self.inner > crate::IntegerMatmul::MAX_INNER {
            return Err(Error::TooLarge("the inner size"));
        }

        let inner = length(self.inner.into(), "the inner size")?;
        let columns = length(self.columns.into(), "the number of columns")?;
        let panels = columns.div_ceil(PANEL);
        let panel = inner.next_multiple_of(GROUP) * PANEL;

        run_pieces(InstructionSet::PORTABLE, start, panels as u64, checkpoint, |piece| {
            let piece = piece as usize;
            let (numbers, sums) = packed.split_at_mut(panels * panel);
            let numbers = &mut numbers[piece * panel..][..panel];
            let sums = &mut sums[piece * PANEL * SUM..][..PANEL * SUM];

            numbers.fill(0);
            sums.fill(0);
            let count = PANEL.min(columns - piece * PANEL);
            for column in 0..count {
                let sum = self.pack_column(values, piece * PANEL + column, column, numbers);
                sums[column * SUM..][..SUM].copy_from_slice(&sum.to_le_bytes());
            }
            panel as u64
        })
    }

    /// Packs a column into a panel. Returns its sum.
    fn pack_column(&self, values: &[u8], from: usize, to: usize, panel: &mut [u8]) -> i32 {
        let flip = if self.signed { 0 } else { 0x80 };
        let row = self.strides.row as usize;
        let start = from * self.strides.column as usize;
        let mut sum = 0;

        for depth in 0..self.inner as usize {
            let value = values[start + depth * row] ^ flip;
            panel[depth / GROUP * (PANEL * GROUP) + to * GROUP + depth % GROUP] = value;
            sum += i32::from(value.cast_signed());
        }

        sum
    }
}

/// A packed matrix, apart from its content checked.
pub(super) struct Packed<'a> {
    numbers: &'a [u8],
    sums: &'a [u8],
    panel: usize,
}

impl<'a> Packed<'a> {
    pub(super) fn new(packed: &'a [u8], inner: usize, columns: usize) -> Result<Self, Error> {
        exactly(packed, packed_len(inner as u64, columns as u64)?, "the packed right")?;
        let panel = inner.next_multiple_of(GROUP) * PANEL;
        let (numbers, sums) = packed.split_at(columns.div_ceil(PANEL) * panel);
        Ok(Packed { numbers, sums, panel })
    }

    /// The integers of a panel.
    pub(super) fn panel(&self) -> usize {
        self.panel
    }

    /// The panels from that of a column.
    pub(super) fn panels_from(&self, column: usize) -> &'a [u8] {
        &self.numbers[column / PANEL * self.panel..]
    }

    /// The sum of a column.
    pub(super) fn column_sum(&self, column: usize) -> i32 {
        let bytes = self.sums[column * SUM..].first_chunk();
        bytes.map_or(0, |bytes| i32::from_le_bytes(*bytes))
    }
}

/// Returns the bytes of a packed matrix.
fn packed_len(inner: u64, columns: u64) -> Result<u64, Error> {
    let depth = inner.next_multiple_of(GROUP as u64) + SUM as u64;
    product(&[depth, columns.next_multiple_of(PANEL as u64)], "the packed matrix")
}
