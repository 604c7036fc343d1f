//! Filters of one channel over rows of pixels. The rows are copied, with the zeros around them, so
//! that every element of a filter reads numbers side by side.

use super::Sizes;
use crate::simd::{Loop, PANEL};

/// The most numbers of the copied rows.
const MAX_COPY: usize = 16 * 1024;

/// The sizes of the rows that are computed together.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    /// Output rows.
    pub(super) count: usize,
    /// The panels of an output row.
    panels: usize,
    /// A copied row consists of parts, as many as the stride. A part has the columns of one
    /// remainder, so that the inputs of two pixels side by side are side by side.
    part: usize,
}

impl Rows {
    /// Returns the sizes for units of at most as many pixels; `None` if the rows are too long, or
    /// copying them would take longer than the products.
    pub(super) fn new(sizes: &Sizes, pixels: usize) -> Option<Self> {
        let reach = |axis: usize| (sizes.kernel[axis] - 1).checked_mul(sizes.dilations[axis]);
        let width = sizes.output[1];
        let panels = width.div_ceil(PANEL);

        let part = (reach(1)? / sizes.strides[1]).checked_add(panels.checked_mul(PANEL)?)?;
        let row = part.checked_mul(sizes.strides[1])?;
        let free = (MAX_COPY / row).checked_sub(reach(0)?.checked_add(1)?)?;
        let count = (free / sizes.strides[0] + 1).min(pixels / width);

        let copied = count.checked_sub(1)? * sizes.strides[0] + reach(0)? + 1;
        let is_worth_it = copied <= count * sizes.kernel_area();
        is_worth_it.then_some(Rows { count, panels, part })
    }

    /// Returns the numbers that [`RowSums`] needs: the copied rows, a row with its zeros before its
    /// columns are divided, and an output row.
    pub(super) fn scratch(&self, sizes: &Sizes) -> usize {
        let row = self.part * sizes.strides[1];
        MAX_COPY + row + self.panels * PANEL
    }
}

/// Adds the products of a filter and the windows of some rows to an output.
pub(super) struct RowSums<'a> {
    pub(super) rows: Rows,
    pub(super) sizes: &'a Sizes,
    pub(super) filter: &'a [f32],
    /// The channel of the input.
    pub(super) input: &'a [f32],
    pub(super) first_row: usize,
    /// Whole rows.
    pub(super) output: &'a mut [f32],
    pub(super) scratch: &'a mut [f32],
}

impl Loop for RowSums<'_> {
    #[inline(always)]
    fn run(self) {
        let Sizes { kernel, strides, dilations, .. } = *self.sizes;
        let width = self.sizes.output[1];
        let row = self.rows.part * strides[1];
        let (copy, rest) = self.scratch.split_at_mut(MAX_COPY);
        let (flat, sums) = rest.split_at_mut(row);
        let (sums, _) = sums.as_chunks_mut::<PANEL>();
        let sums = &mut sums[..self.rows.panels];

        let count = self.output.len() / width;
        let copied = (count - 1) * strides[0] + (kernel[0] - 1) * dilations[0] + 1;
        for (index, to) in copy.chunks_exact_mut(row).take(copied).enumerate() {
            let line = self.first_row * strides[0] + index;
            copy_row(self.sizes, self.rows.part, self.input, line, flat, to);
        }

        for (index, output) in self.output.chunks_exact_mut(width).enumerate() {
            sums.fill([0.0; PANEL]);
            for (down, weights) in self.filter.chunks_exact(kernel[1]).enumerate() {
                let line = index * strides[0] + down * dilations[0];
                let inputs = Inputs {
                    row: &copy[line * row..][..row],
                    part: self.rows.part,
                    stride: strides[1],
                    dilation: dilations[1],
                };
                add_row(weights, &inputs, sums);
            }

            for (output, sum) in output.iter_mut().zip(sums.as_flattened()) {
                *output += sum;
            }
        }
    }
}

/// Copies a row of the image with the zeros around it, which has the number `line` among all rows
/// and rows of zeros.
#[inline(always)]
fn copy_row(
    sizes: &Sizes,
    part: usize,
    input: &[f32],
    line: usize,
    flat: &mut [f32],
    to: &mut [f32],
) {
    let [height, width] = sizes.input;
    let [top, left] = sizes.pads;
    let stride = sizes.strides[1];

    let line = line.wrapping_sub(top);
    if line >= height {
        to.fill(0.0);
        return;
    }

    let padded = if stride == 1 { &mut *to } else { &mut *flat };
    let left = left.min(padded.len());
    let within = width.min(padded.len() - left);
    padded[..left].fill(0.0);
    padded[left..left + within].copy_from_slice(&input[line * width..][..within]);
    padded[left + within..].fill(0.0);

    if stride == 2 {
        let (even, odd) = to.split_at_mut(part);
        divide(flat, even, odd);
    } else if stride > 2 {
        for (first, to) in to.chunks_exact_mut(part).enumerate() {
            for (to, from) in to.iter_mut().zip(flat[first..].iter().step_by(stride)) {
                *to = *from;
            }
        }
    }
}

/// Copies the numbers at even and at odd places, panel by panel, because the compiler finds no SIMD
/// instructions for the loop over all.
#[inline(always)]
fn divide(from: &[f32], even: &mut [f32], odd: &mut [f32]) {
    let (from, from_rest) = from.as_chunks::<{ 2 * PANEL }>();
    let (even, even_rest) = even.as_chunks_mut::<PANEL>();
    let (odd, odd_rest) = odd.as_chunks_mut::<PANEL>();
    for ((from, even), odd) in from.iter().zip(even).zip(odd) {
        *even = std::array::from_fn(|lane| from[2 * lane]);
        *odd = std::array::from_fn(|lane| from[2 * lane + 1]);
    }

    let pairs = from_rest.as_chunks::<2>().0;
    for ((pair, even), odd) in pairs.iter().zip(even_rest).zip(odd_rest) {
        [*even, *odd] = *pair;
    }
}

/// A copied row under a row of a filter.
struct Inputs<'a> {
    row: &'a [f32],
    part: usize,
    stride: usize,
    dilation: usize,
}

impl Inputs<'_> {
    /// Returns the inputs of some elements from one on, at as many panels of pixels.
    #[inline(always)]
    fn of<const COUNT: usize>(&self, first: usize, panels: usize) -> [&[[f32; PANEL]]; COUNT] {
        let mut inputs: [&[[f32; PANEL]]; COUNT] = [&[]; COUNT];
        for (index, inputs) in inputs.iter_mut().enumerate() {
            let column = (first + index) * self.dilation;
            let start = match self.stride {
                1 => column,
                2 => column % 2 * self.part + column / 2,
                stride => column % stride * self.part + column / stride,
            };
            *inputs = &self.row[start..].as_chunks::<PANEL>().0[..panels];
        }
        inputs
    }
}

/// Adds the products of a row of a filter.
#[inline(always)]
fn add_row(weights: &[f32], inputs: &Inputs<'_>, sums: &mut [[f32; PANEL]]) {
    let panels = sums.len();
    let (fives, rest) = weights.as_chunks::<5>();
    for (index, weights) in fives.iter().enumerate() {
        add(weights, inputs.of(index * 5, panels), sums);
    }

    let done = fives.len() * 5;
    let (threes, rest) = rest.as_chunks::<3>();
    for weights in threes {
        add(weights, inputs.of(done, panels), sums);
    }

    let done = done + threes.len() * 3;
    for (index, weight) in rest.iter().enumerate() {
        add(&[*weight], inputs.of(done + index, panels), sums);
    }
}

#[inline(always)]
fn add<const COUNT: usize>(
    weights: &[f32; COUNT],
    inputs: [&[[f32; PANEL]]; COUNT],
    sums: &mut [[f32; PANEL]],
) {
    for (panel, sums) in sums.iter_mut().enumerate() {
        let mut sum = *sums;
        for (weight, inputs) in weights.iter().zip(inputs) {
            for lane in 0..PANEL {
                sum[lane] += weight * inputs[panel][lane];
            }
        }
        *sums = sum;
    }
}
