//! A product of matrices of integers in pieces.

use std::ops::Range;

use super::finish::{Corrections, Results};
use super::packing::Packed;
use super::{IntegerData, IntegerMatmul};
use crate::error::product;
use crate::scratch::{self, Scratch};
use crate::simd::{Area, GROUP, IntegerBlock, PANEL};
use crate::work::Work;
use crate::{Error, InstructionSet};

/// The most rows and columns of a piece of work.
const ROWS: usize = 64;
const COLUMNS: usize = 3 * PANEL;

/// The most left integers of a piece of work, which has fewer rows if they are long.
const LEFT: usize = 128 << 10;

/// A checked product. A unit is a block of the output.
pub(super) struct Product<'a> {
    operation: &'a IntegerMatmul,
    left: &'a [u8],
    right_zero: &'a [i32],
    results: Results<'a>,
    set: InstructionSet,
    packed: Packed<'a>,
    /// The rows, the inner size and the columns.
    sizes: [usize; 3],
    rows_of_unit: usize,
    /// Units along the columns.
    column_pieces: u64,
    units: u64,
}

pub(super) struct Memory {
    /// Rows of the left matrix as unsigned integers.
    left: Scratch<u8>,
    /// The first of these rows; `None` before the first unit.
    prepared: Option<usize>,
}

impl<'a> Product<'a> {
    /// A product with these rows, inner size and columns, which have been checked.
    pub(super) fn new(
        operation: &'a IntegerMatmul,
        data: IntegerData<'a>,
        sizes: [usize; 3],
        set: InstructionSet,
    ) -> Result<Self, Error> {
        let [rows, inner, columns] = sizes;
        let packed = Packed::new(data.right, inner, columns)?;
        let column_pieces = columns.div_ceil(COLUMNS) as u64;
        let rows_of_unit = (LEFT / inner.next_multiple_of(GROUP)).clamp(1, ROWS).min(rows);
        let row_pieces = rows.div_ceil(rows_of_unit) as u64;

        Ok(Product {
            operation,
            left: data.left,
            right_zero: data.right_zero,
            results: Results::new(data.output),
            set,
            packed,
            sizes,
            rows_of_unit,
            column_pieces,
            units: product(&[row_pieces, column_pieces], "the product")?,
        })
    }
}

impl Work for Product<'_> {
    type Memory = Memory;

    fn units(&self) -> u64 {
        self.units
    }

    fn steps(&self) -> u64 {
        1
    }

    fn batch(&self, _first: u64) -> u64 {
        1
    }

    fn most_multiplications(&self) -> u64 {
        let [_, inner, columns] = self.sizes;
        (self.rows_of_unit * COLUMNS.min(columns)) as u64 * inner as u64
    }

    fn memory(&self) -> Memory {
        let depth = self.sizes[1].next_multiple_of(GROUP);
        Memory { left: scratch::bytes(self.rows_of_unit * depth), prepared: None }
    }

    fn run(&self, units: Range<u64>, _step: u64, Memory { left, prepared }: &mut Memory) -> u64 {
        let unit = |unit: u64| {
            let row = (unit / self.column_pieces) as usize * self.rows_of_unit;
            let column = (unit % self.column_pieces) as usize * COLUMNS;

            if *prepared != Some(row) {
                self.prepare_rows(row, left);
                *prepared = Some(row);
            }
            self.run_unit(row, column, left)
        };
        units.map(unit).sum()
    }
}

impl Product<'_> {
    /// Copies rows of the left matrix as unsigned integers, filled up with 0 to whole groups.
    fn prepare_rows(&self, row: usize, left: &mut [u8]) {
        let [rows, inner, _] = self.sizes;
        let stride = self.operation.left_stride as usize;
        // Adds 128 to a signed integer.
        let flip = if self.operation.left_signed { 0x80 } else { 0 };

        let depth = inner.next_multiple_of(GROUP);
        for (row, to) in (row..rows).zip(left.chunks_exact_mut(depth)) {
            let from = &self.left[row * stride..][..inner];
            to[..inner].iter_mut().zip(from).for_each(|(to, from)| *to = *from ^ flip);
            to[inner..].fill(0);
        }
    }

    /// Computes a unit. Returns its multiplications.
    fn run_unit(&self, row: usize, column: usize, left: &[u8]) -> u64 {
        let [all_rows, inner, all_columns] = self.sizes;
        let rows = self.rows_of_unit.min(all_rows - row);
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
        let start = row * all_columns + column;
        let mut results =
            self.results.borrow(Area { start, rows, columns, row: all_columns }, column);

        for (index, sums) in sums.chunks_exact_mut(COLUMNS).take(rows).enumerate() {
            let sums = &mut sums[..columns];
            corrections.apply(sums, &left[index * depth..][..inner]);
            results.write(index, sums, self.operation.activation, self.set);
        }

        (rows * columns * inner) as u64
    }

    fn corrections(&self, column: usize, columns: usize) -> Corrections<COLUMNS> {
        let shift = if self.operation.left_signed { 128 } else { 0 };
        let left_zero = self.operation.left_zero.wrapping_add(shift);
        let right_zero = self.right_zero;

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
