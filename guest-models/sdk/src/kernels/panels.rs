//! Products of a matrix with many vectors at once.
//!
//! Multiplying a matrix with one vector reads every number of it to use it once. Many vectors are
//! arranged side by side in panels of [`PANEL`], so that a number of the matrix is used for as many
//! vectors as fit into two SIMD registers, and [`ROWS`] rows share each reading of a panel. Rows
//! are the outer loop: however many panels there are, the matrix passes through the cache once.

use std::array;

/// Vectors side by side.
pub const PANEL: usize = 8;

/// Rows that are multiplied at once. With two registers for a panel this is eight sums of four
/// lanes, which uses half of the SIMD registers.
const ROWS: usize = 4;

/// Columns in one iteration of the inner loop.
const STEPS: usize = 4;

/// The first number of each of the vectors, then the second of each, and so on.
pub type Panel = Vec<[f32; PANEL]>;

/// Returns up to [`PANEL`] vectors of `width` numbers as a panel; places without a vector hold 0.
pub fn panel(vectors: &[&[f32]], width: usize) -> Panel {
    let mut panel = vec![[0.0; PANEL]; width];
    for (place, vector) in vectors.iter().enumerate().take(PANEL) {
        panel.iter_mut().zip(*vector).for_each(|(numbers, number)| numbers[place] = *number);
    }
    panel
}

/// Multiplies the matrix, rows of `width` numbers in order, with the vectors in each panel, which
/// have the same length.
pub fn multiply(matrix: &[f32], width: usize, panels: &[impl AsRef<[[f32; PANEL]]>]) -> Vec<Panel> {
    let rows = matrix.len().checked_div(width).unwrap_or(0);
    let mut products: Vec<Panel> = panels.iter().map(|_| Panel::with_capacity(rows)).collect();
    for block in matrix.chunks(ROWS * width.max(1)) {
        let rows = block_rows(block, width);
        for (panel, products) in panels.iter().zip(&mut products) {
            products.extend(multiply_rows(rows, panel.as_ref()).iter().take(block.len() / width));
        }
    }
    products
}

/// Returns the rows of a block. The first row stands in for missing rows of the last block.
fn block_rows(block: &[f32], width: usize) -> [&[f32]; ROWS] {
    let row = |index| block.chunks_exact(width).nth(index);
    array::from_fn(|index| row(index).unwrap_or(&block[..width.min(block.len())]))
}

fn multiply_rows(rows: [&[f32]; ROWS], panel: &[[f32; PANEL]]) -> [[f32; PANEL]; ROWS] {
    let mut sums = [[0.0; PANEL]; ROWS];
    let (steps, rest) = panel.as_chunks::<STEPS>();
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] =
        rows.map(|row| row.as_chunks::<STEPS>());
    for ((((numbers, a), b), c), d) in steps.iter().zip(a).zip(b).zip(c).zip(d) {
        for step in 0..STEPS {
            add_products(&mut sums, [a[step], b[step], c[step], d[step]], &numbers[step]);
        }
    }
    for ((((numbers, a), b), c), d) in rest.iter().zip(a_rest).zip(b_rest).zip(c_rest).zip(d_rest) {
        add_products(&mut sums, [*a, *b, *c, *d], numbers);
    }
    sums
}

#[inline]
fn add_products(sums: &mut [[f32; PANEL]; ROWS], column: [f32; ROWS], numbers: &[f32; PANEL]) {
    for (sums, weight) in sums.iter_mut().zip(column) {
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += weight * number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PANEL, Panel, multiply, panel};
    use crate::kernels::dot;

    // Small integers, so that every order of additions gives the same sum.
    fn ramp(length: usize) -> Vec<f32> {
        (0..length).map(|number| (number % 7) as f32).collect()
    }

    #[test]
    fn products_equal_dot_products_at_all_sizes() {
        for (height, width, count) in [(1, 1, 1), (4, 4, 8), (5, 7, 3), (10, 9, 8), (7, 16, 5)] {
            let (matrix, numbers) = (ramp(height * width), ramp(count * width));
            let vectors: Vec<&[f32]> = numbers.chunks(width).collect();
            let panels = [panel(&vectors, width), panel(&vectors[..1], width)];
            let products = multiply(&matrix, width, &panels);
            for (row, weights) in matrix.chunks(width).enumerate() {
                let wanted: Vec<f32> = vectors.iter().map(|vector| dot(weights, vector)).collect();
                assert_eq!(
                    products[0][row][..count],
                    wanted,
                    "{height} by {width}, {count} vectors"
                );
                assert_eq!(products[1][row][0], wanted[0]);
            }
            assert_eq!(products[0].len(), height);
        }
    }

    #[test]
    fn an_empty_product_is_empty() {
        assert_eq!(multiply(&[], 3, &[panel(&[], 3)]), [Panel::new()]);
        assert_eq!(multiply(&[], 0, &[vec![[1.0; PANEL]; 0]]), [Panel::new()]);
        assert!(multiply(&[1.0], 1, &[] as &[Panel]).is_empty());
    }
}
