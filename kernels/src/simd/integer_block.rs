//! The product of two blocks of 8-bit integers, with its addresses checked.

use super::{InstructionSet, PANEL};

/// Integers along the depth that are multiplied at once.
pub(crate) const GROUP: usize = 4;

/// The product of a block of unsigned integers and one of signed integers.
///
/// The left block has its rows in order, `groups` times 4 integers each. The right block consists
/// of panels of 16 columns, `right_panel` integers apart: for each group, 4 integers of the first
/// column, 4 of the second, and so on. The sums of a row are side by side, 16 for each
/// panel, and the rows are `sums_row` apart. They wrap at 32 bits.
pub(crate) struct IntegerBlock<'a> {
    pub(crate) rows: usize,
    pub(crate) panels: usize,
    pub(crate) groups: usize,
    pub(crate) left: &'a [u8],
    pub(crate) right: &'a [u8],
    pub(crate) right_panel: usize,
    pub(crate) sums: &'a mut [i32],
    pub(crate) sums_row: usize,
}

/// A block whose addresses are within its slices.
pub(super) struct CheckedIntegers {
    pub(super) rows: usize,
    pub(super) panels: usize,
    pub(super) groups: usize,
    pub(super) left: *const u8,
    pub(super) left_row: usize,
    pub(super) right: *const u8,
    pub(super) right_panel: usize,
    pub(super) sums: *mut i32,
    pub(super) sums_row: usize,
}

impl IntegerBlock<'_> {
    /// Multiplies the blocks.
    ///
    /// # Panics
    /// If an address is outside of its slice, which is a fault of this crate.
    pub(crate) fn run(self, set: InstructionSet) {
        assert!(self.is_within_its_slices() == Some(true), "a block is outside of its slices");

        let checked = CheckedIntegers {
            rows: self.rows,
            panels: self.panels,
            groups: self.groups,
            left: self.left.as_ptr(),
            left_row: self.groups * GROUP,
            right: self.right.as_ptr(),
            right_panel: self.right_panel,
            sums: self.sums.as_mut_ptr(),
            sums_row: self.sums_row,
        };

        set.run_integer_block(&checked);
    }

    /// True if every address that the loops form is within its slice; `None` if one of them cannot
    /// be computed.
    fn is_within_its_slices(&self) -> Option<bool> {
        let depth = self.groups.checked_mul(GROUP)?;
        let left = self.rows.checked_mul(depth)?;
        let right = self
            .panels
            .checked_sub(1)?
            .checked_mul(self.right_panel)?
            .checked_add(depth.checked_mul(PANEL)?)?;
        let sums = self
            .rows
            .checked_sub(1)?
            .checked_mul(self.sums_row)?
            .checked_add(self.panels.checked_mul(PANEL)?)?;

        Some(left <= self.left.len() && right <= self.right.len() && sums <= self.sums.len())
    }
}
