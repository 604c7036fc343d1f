//! The product of two blocks of integers, tile by tile; see [`tile`](super::tile).

use super::PANEL;
use super::integer_block::{CheckedIntegers, GROUP};

/// A register of 32-bit sums, one for each column.
///
/// # Safety
/// The functions may be called only where the processor has the instructions, with pointers that
/// are valid for a register.
pub(super) trait IntegerVector: Copy {
    /// Sums of a register; a divisor of [`PANEL`].
    const LANES: usize;

    /// The most rows of a tile.
    const ROWS: usize;

    /// The most panels of a tile.
    const PANELS: usize;

    /// 4 integers of each column, as the instructions need them.
    type Right: Copy;

    /// Returns sums of 0.
    unsafe fn zero() -> Self;

    /// Reads 4 integers of each column.
    unsafe fn load_right(from: *const u8) -> Self::Right;

    /// Adds the products of 4 unsigned integers and 4 signed ones of each column.
    unsafe fn add_products(self, left: [u8; GROUP], right: Self::Right) -> Self;

    /// Writes the sums.
    unsafe fn store(self, to: *mut i32);
}

/// Multiplies two blocks.
///
/// # Safety
/// The processor must have the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn block<V: IntegerVector>(block: &CheckedIntegers) {
    let mut panel = 0;

    while panel < block.panels {
        let panels = (block.panels - panel).min(V::PANELS);

        let mut row = 0;
        while row < block.rows {
            let rows = (block.rows - row).min(V::ROWS);

            // SAFETY: the tile is within the block.
            unsafe {
                match (V::LANES, panels) {
                    (16, 3) => tile_of_rows::<V, 3>(block, row, rows, panel),
                    (16, 2) => tile_of_rows::<V, 2>(block, row, rows, panel),
                    (16, _) => tile_of_rows::<V, 1>(block, row, rows, panel),
                    (8, _) => tile_of_rows::<V, 2>(block, row, rows, panel),
                    _ => tile_of_rows::<V, 4>(block, row, rows, panel),
                }
            }
            row += rows;
        }

        panel += panels;
    }
}

#[inline(always)]
unsafe fn tile_of_rows<V: IntegerVector, const N: usize>(
    block: &CheckedIntegers,
    row: usize,
    rows: usize,
    panel: usize,
) {
    unsafe {
        match rows {
            8 if V::ROWS >= 8 => tile::<V, 8, N>(block, row, panel),
            7 if V::ROWS >= 7 => tile::<V, 7, N>(block, row, panel),
            6 if V::ROWS >= 6 => tile::<V, 6, N>(block, row, panel),
            5 if V::ROWS >= 5 => tile::<V, 5, N>(block, row, panel),
            4 if V::ROWS >= 4 => tile::<V, 4, N>(block, row, panel),
            3 if V::ROWS >= 3 => tile::<V, 3, N>(block, row, panel),
            2 => tile::<V, 2, N>(block, row, panel),
            _ => tile::<V, 1, N>(block, row, panel),
        }
    }
}

/// Computes a tile of `R` rows and `N` registers of columns.
#[inline(always)]
unsafe fn tile<V: IntegerVector, const R: usize, const N: usize>(
    block: &CheckedIntegers,
    row: usize,
    panel: usize,
) {
    unsafe {
        let mut left = block.left.add(row * block.left_row);
        let mut right = block.right.add(panel * block.right_panel);
        let mut sums = [[V::zero(); N]; R];

        for _ in 0..block.groups {
            let mut numbers = [V::load_right(right); N];
            for (index, numbers) in numbers.iter_mut().enumerate().skip(1) {
                let lane = index * V::LANES;
                let at = lane / PANEL * block.right_panel + lane % PANEL * GROUP;
                *numbers = V::load_right(right.add(at));
            }

            for (index, sums) in sums.iter_mut().enumerate() {
                let group = left.add(index * block.left_row).cast::<[u8; GROUP]>().read();
                for (sum, numbers) in sums.iter_mut().zip(numbers) {
                    *sum = sum.add_products(group, numbers);
                }
            }

            left = left.wrapping_add(GROUP);
            right = right.wrapping_add(GROUP * PANEL);
        }

        for (index, sums) in sums.iter().enumerate() {
            let to = block.sums.add((row + index) * block.sums_row + panel * PANEL);
            for (lane, sum) in sums.iter().enumerate() {
                sum.store(to.add(lane * V::LANES));
            }
        }
    }
}
