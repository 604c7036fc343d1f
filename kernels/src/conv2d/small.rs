//! Convolutions of small images: products with the pixels as rows and the output channels as
//! columns, because the pixels would not fill the columns of a tile.

use super::im2col::{DEPTH, Matrix};
use super::window::Windows;
use super::{Conv2dData, Sizes};
use crate::error::product;
use crate::progress::run_pieces;
use crate::scratch::with_numbers;
use crate::simd::{Block, Finish, Left, PANEL, Right};
use crate::{Activation, Checkpoint, Error, InstructionSet};

/// The most pixels of a small image.
const MAX_PIXELS: usize = 4 * PANEL;

/// The most multiplications of a piece of work, of which each has all elements of a filter.
const MAX_WORK: usize = 24_000_000;

/// The output channels of a tile, and the most of a piece.
const TILE: usize = 3 * PANEL;
const MAX_CHANNELS: usize = 10 * TILE;

/// True if a convolution is computed here.
pub(super) fn serves(sizes: &Sizes) -> bool {
    let pixels = sizes.output_pixels();
    let tile = pixels.saturating_mul(sizes.depth()).saturating_mul(TILE);
    pixels <= MAX_PIXELS && sizes.outputs >= TILE && tile <= MAX_WORK
}

pub(super) fn run(
    sizes: Sizes,
    activation: Activation,
    data: Conv2dData<'_>,
    set: InstructionSet,
    start: u64,
    checkpoint: Checkpoint<'_>,
) -> Result<Option<u64>, Error> {
    let tile = sizes.output_pixels() * sizes.depth() * TILE;
    let channels = (MAX_WORK / tile * TILE).clamp(TILE, MAX_CHANNELS);
    let chunks = sizes.outputs.div_ceil(channels) as u64;
    let pieces = product(&[sizes.batch as u64, sizes.groups as u64, chunks], "the convolution")?;
    let mut small = Small { sizes, activation, data, set, windows: Windows::default() };

    with_numbers(MAX_PIXELS * (DEPTH + MAX_CHANNELS), |scratch| {
        let (block, sums) = scratch.split_at_mut(MAX_PIXELS * DEPTH);
        run_pieces(set, start, pieces, checkpoint, |piece| {
            let image_and_group = (piece / chunks) as usize;
            let first = (piece % chunks) as usize * channels;
            let count = channels.min(small.sizes.outputs - first);
            let place =
                [image_and_group / small.sizes.groups, image_and_group % small.sizes.groups];
            small.run(place, [first, count], block, sums)
        })
    })
}

struct Small<'a> {
    sizes: Sizes,
    activation: Activation,
    data: Conv2dData<'a>,
    set: InstructionSet,
    windows: Windows,
}

impl Small<'_> {
    /// Computes output channels of a group of an image. Returns the number of multiplications.
    fn run(
        &mut self,
        place: [usize; 2],
        [first, count]: [usize; 2],
        block: &mut [f32],
        sums: &mut [f32],
    ) -> u64 {
        let (depth, pixels) = (self.sizes.depth(), self.sizes.output_pixels());
        for first_element in (0..depth).step_by(DEPTH) {
            let elements = DEPTH.min(depth - first_element);
            let matrix = Matrix { sizes: &self.sizes, input: self.data.input };
            let range = [first_element, elements];
            matrix.fill(&mut self.windows, place, [0, pixels], range, block);
            self.multiply(place[1], [first, count], range, block, sums);
        }

        self.write(place, [first, count], sums);
        (pixels * depth * count) as u64
    }

    /// Adds the products of some elements of the filters to the sums: rows of `count`.
    fn multiply(
        &self,
        group: usize,
        [first, count]: [usize; 2],
        [first_element, elements]: [usize; 2],
        block: &[f32],
        sums: &mut [f32],
    ) {
        let (depth, outputs) = (self.sizes.depth(), self.sizes.outputs);
        let filters = group * depth * outputs.next_multiple_of(PANEL) + first * depth;
        let product = Block {
            rows: self.sizes.output_pixels(),
            columns: count,
            depth: elements,
            left: Left { values: block, row: 1, panel: DEPTH * PANEL, depth: PANEL },
            right: Right {
                values: &self.data.filters[filters + first_element * PANEL..],
                panel: depth * PANEL,
                depth: PANEL,
            },
            output: sums,
            output_row: count,
            finish: Finish {
                scale: 1.0,
                first: first_element == 0,
                column_bias: &[],
                row_bias: &[],
                residual: &[],
                clamp: None,
            },
        };
        product.run(self.set);
    }

    /// Writes the sums, with all that is done to them, to the output.
    fn write(&mut self, [image, group]: [usize; 2], [first, count]: [usize; 2], sums: &[f32]) {
        let pixels = self.sizes.output_pixels();
        let channel = group * self.sizes.outputs + first;
        let start = (image * self.sizes.groups * self.sizes.outputs + channel) * pixels;
        let output = &mut self.data.output[start..start + count * pixels];

        for (index, output) in output.chunks_exact_mut(pixels).enumerate() {
            let bias = self.data.bias.get(channel + index).copied().unwrap_or(0.0);
            let sums = sums[index..].iter().step_by(count);
            output.iter_mut().zip(sums).for_each(|(output, sum)| *output = sum + bias);
        }
        if let Some(residual) = self.data.residual.get(start..start + count * pixels) {
            output.iter_mut().zip(residual).for_each(|(output, residual)| *output += residual);
        }
        self.activation.apply_with(self.set, output);
    }
}
