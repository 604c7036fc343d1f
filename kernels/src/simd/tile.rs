//! The product of two blocks, tile by tile.
//!
//! A tile is what fits into the registers: its sums stay there over the whole depth. Everything
//! here is inlined into a function that is compiled for one instruction set.

use super::PANEL;
use super::block::Checked;
use super::vector::Vector;

/// Rows of the right matrix between the one that is used and the one that is fetched.
const PREFETCH: usize = 16;

/// Multiplies two blocks.
///
/// # Safety
/// The processor must have the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn block<V: Vector>(block: &Checked) {
    let mut column = 0;

    while column < block.columns {
        let panels = (block.columns - column).div_ceil(PANEL).min(V::PANELS);

        let mut row = 0;
        while row < block.rows {
            // A tile stays within 16 rows, as they lie in one panel of the left matrix.
            let rows = (block.rows - row).min(PANEL - row % PANEL).min(V::ROWS);

            // SAFETY: the tile is within the block.
            unsafe { tile_of_panels::<V>(block, row, rows, column, panels) };
            row += rows;
        }

        column += panels * PANEL;
    }
}

/// Chooses the code for a number of panels.
#[inline(always)]
unsafe fn tile_of_panels<V: Vector>(
    block: &Checked,
    row: usize,
    rows: usize,
    column: usize,
    panels: usize,
) {
    unsafe {
        match (V::LANES, panels) {
            (16, 3) => tile_of_rows::<V, 3>(block, row, rows, column),
            (16, 2) => tile_of_rows::<V, 2>(block, row, rows, column),
            (16, _) => tile_of_rows::<V, 1>(block, row, rows, column),
            (8, _) => tile_of_rows::<V, 2>(block, row, rows, column),
            _ => tile_of_rows::<V, 4>(block, row, rows, column),
        }
    }
}

/// Chooses the code for a number of rows.
#[inline(always)]
unsafe fn tile_of_rows<V: Vector, const N: usize>(
    block: &Checked,
    row: usize,
    rows: usize,
    column: usize,
) {
    unsafe {
        match rows {
            8 if V::ROWS >= 8 => tile::<V, 8, N>(block, row, column),
            7 if V::ROWS >= 7 => tile::<V, 7, N>(block, row, column),
            6 if V::ROWS >= 6 => tile::<V, 6, N>(block, row, column),
            5 if V::ROWS >= 5 => tile::<V, 5, N>(block, row, column),
            4 if V::ROWS >= 4 => tile::<V, 4, N>(block, row, column),
            3 if V::ROWS >= 3 => tile::<V, 3, N>(block, row, column),
            2 => tile::<V, 2, N>(block, row, column),
            _ => tile::<V, 1, N>(block, row, column),
        }
    }
}

/// Computes a tile of `R` rows and `N` registers of columns.
#[inline(always)]
unsafe fn tile<V: Vector, const R: usize, const N: usize>(
    block: &Checked,
    row: usize,
    column: usize,
) {
    unsafe {
        let sums = products::<V, R, N>(block, row, column);

        for (index, sums) in sums.iter().enumerate() {
            for (lane, sums) in sums.iter().enumerate() {
                finish(block, row + index, column + lane * V::LANES, *sums);
            }
        }
    }
}

/// Returns the sums of products of a tile.
#[inline(always)]
unsafe fn products<V: Vector, const R: usize, const N: usize>(
    block: &Checked,
    row: usize,
    column: usize,
) -> [[V; N]; R] {
    unsafe {
        let mut left =
            block.left.add(row / PANEL * block.left_panel + row % PANEL * block.left_row);
        let mut right = block.right.add(column / PANEL * block.right_panel);
        let mut sums = [[V::splat(0.0); N]; R];

        for _ in 0..block.depth {
            let mut numbers = [V::splat(0.0); N];
            for (index, numbers) in numbers.iter_mut().enumerate() {
                let lane = index * V::LANES;
                let at = right.add(lane / PANEL * block.right_panel + lane % PANEL);
                *numbers = V::load(at);
                if lane % PANEL == 0 {
                    V::prefetch(at.wrapping_add(PREFETCH * PANEL));
                }
            }

            for (index, sums) in sums.iter_mut().enumerate() {
                let factor = V::splat(*left.add(index * block.left_row));
                for (sum, numbers) in sums.iter_mut().zip(numbers) {
                    *sum = factor.multiply_add(numbers, *sum);
                }
            }

            left = left.wrapping_add(block.left_depth);
            right = right.wrapping_add(block.right_depth);
        }

        sums
    }
}

/// Adds a register of sums to what is there, or to the bias and the residual, and writes it.
#[inline(always)]
unsafe fn finish<V: Vector>(block: &Checked, row: usize, column: usize, sums: V) {
    if column >= block.columns {
        return;
    }

    let count = (block.columns - column).min(V::LANES);
    let at = row * block.output_row + column;

    unsafe {
        let mut value = if block.first {
            let mut value = V::splat(0.0);
            if !block.column_bias.is_null() {
                value = load(block.column_bias.add(column), count);
            }
            if !block.row_bias.is_null() {
                value = value.add(V::splat(*block.row_bias.add(row)));
            }
            if !block.residual.is_null() {
                let residual: V = load(block.residual.add(at), count);
                value = value.add(residual);
            }
            value
        } else {
            load(block.output.add(at), count)
        };

        value = sums.multiply_add(V::splat(block.scale), value);
        if let Some((low, high)) = block.clamp {
            value = value.clamp(V::splat(low), V::splat(high));
        }

        let output = block.output.add(at);
        if count == V::LANES { value.store(output) } else { value.store_first(output, count) }
    }
}

/// Reads `count` numbers, at most a register of them.
#[inline(always)]
unsafe fn load<V: Vector>(from: *const f32, count: usize) -> V {
    unsafe { if count == V::LANES { V::load(from) } else { V::load_first(from, count) } }
}
