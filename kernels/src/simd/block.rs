//! The product of two blocks of `f32`, with its addresses checked.

use super::{InstructionSet, PANEL, Part};

/// A block of a left matrix. Its element in row `i` and at depth `k` is at
/// `i / 16 * panel + i % 16 * row + k * depth`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) row: usize,
    pub(crate) panel: usize,
    pub(crate) depth: usize,
}

/// A block of a right matrix. Its element at depth `k` and in column `j` is at
/// `j / 16 * panel + j % 16 + k * depth`. The last panel has all its columns, of any value.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) panel: usize,
    pub(crate) depth: usize,
}

/// The destination of the sums of products.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    /// Multiplies the sums.
    pub(crate) scale: f32,
    /// The sums are added to the biases and the residual, not to what the output holds.
    pub(crate) first: bool,
    /// A number for each column, or none.
    pub(crate) column_bias: &'a [f32],
    /// A number for each row, or none.
    pub(crate) row_bias: &'a [f32],
    /// Numbers laid out as the output, from its first one on, or none.
    pub(crate) residual: &'a [f32],
    /// The least and the greatest result.
    pub(crate) clamp: Option<(f32, f32)>,
}

/// The product of two blocks.
pub(crate) struct Block<'a> {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) depth: usize,
    pub(crate) left: Left<'a>,
    pub(crate) right: Right<'a>,
    pub(crate) finish: Finish<'a>,
}

/// A block whose addresses are within its slices. Absent numbers are null.
pub(super) struct Checked {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) depth: usize,
    pub(super) left: *const f32,
    pub(super) left_row: usize,
    pub(super) left_panel: usize,
    pub(super) left_depth: usize,
    pub(super) right: *const f32,
    pub(super) right_panel: usize,
    pub(super) right_depth: usize,
    pub(super) output: *mut f32,
    pub(super) output_row: usize,
    pub(super) scale: f32,
    pub(super) first: bool,
    pub(super) column_bias: *const f32,
    pub(super) row_bias: *const f32,
    pub(super) residual: *const f32,
    pub(super) clamp: Option<(f32, f32)>,
}

impl Block<'_> {
    /// Multiplies the blocks, into the first rows and columns of the output.
    ///
    /// # Panics
    /// If an address is outside of its slice, which is a fault of this crate.
    pub(crate) fn run(self, set: InstructionSet, output: &mut Part<'_, f32>) {
        assert!(
            self.is_within_its_slices(output) == Some(true),
            "a block is outside of its slices"
        );

        let optional = |values: &[f32]| {
            if values.is_empty() { std::ptr::null() } else { values.as_ptr() }
        };

        let checked = Checked {
            rows: self.rows,
            columns: self.columns,
            depth: self.depth,
            left: self.left.values.as_ptr(),
            left_row: self.left.row,
            left_panel: self.left.panel,
            left_depth: self.left.depth,
            right: self.right.values.as_ptr(),
            right_panel: self.right.panel,
            right_depth: self.right.depth,
            output: output.start(),
            output_row: output.row_distance(),
            scale: self.finish.scale,
            first: self.finish.first,
            column_bias: optional(self.finish.column_bias),
            row_bias: optional(self.finish.row_bias),
            residual: optional(self.finish.residual),
            clamp: self.finish.clamp,
        };

        set.run_block(&checked);
    }

    /// True if every address that the loops form is within its slice; `None` if one of them cannot
    /// be computed.
    fn is_within_its_slices(&self, output: &Part<'_, f32>) -> Option<bool> {
        let row = self.rows.checked_sub(1)?;
        let column = self.columns.checked_sub(1)?;
        let depth = self.depth.checked_sub(1)?;

        // The last row, or the last one of the panel before.
        let [panel, row_of_panel] = [row / PANEL, row % PANEL];
        let last = self.left_row(panel, row_of_panel)?;
        let before = panel.checked_sub(1).map_or(Some(0), |panel| self.left_row(panel, PANEL - 1));
        let left = last.max(before?).checked_add(depth.checked_mul(self.left.depth)?)?;

        let right = (column / PANEL)
            .checked_mul(self.right.panel)?
            .checked_add(depth.checked_mul(self.right.depth)?)?
            .checked_add(PANEL - 1)?;
        let residual = row.checked_mul(output.row_distance())?.checked_add(column)?;

        let optional = |values: &[f32], last: usize| values.is_empty() || last < values.len();

        Some(
            left < self.left.values.len()
                && right < self.right.values.len()
                && self.rows <= output.rows()
                && self.columns <= output.columns()
                && optional(self.finish.column_bias, column)
                && optional(self.finish.row_bias, row)
                && optional(self.finish.residual, residual),
        )
    }

    /// Returns the place of the start of a row of the left block.
    fn left_row(&self, panel: usize, row: usize) -> Option<usize> {
        panel.checked_mul(self.left.panel)?.checked_add(row.checked_mul(self.left.row)?)
    }
}
