//! Convolutions of small images: products with the pixels as rows and the output channels as
//! columns, because the pixels would not fill the columns of a tile.

use std::ops::Range;

use super::im2col::{DEPTH, Matrix, PANEL_LEN};
use super::window::Windows;
use super::{Conv2dData, Sizes};
use crate::error::product;
use crate::scratch::{self, Scratch};
use crate::simd::{Area, Block, Finish, Left, PANEL, Part, Right, SharedOutput};
use crate::work::{Work, run_work};
use crate::{Activation, Error, InstructionSet, Team};

/// The most pixels of a small image.
const MAX_PIXELS: usize = 4 * PANEL;

/// The numbers of a block of the matrix.
const BLOCK: usize = 4 * PANEL_LEN;

/// The most multiplications of a unit of work, of which each has all elements of a filter.
const MAX_WORK: usize = 24_000_000;

/// The output channels of a tile, and the most of a unit.
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
    team: &mut dyn Team,
) -> Result<Option<u64>, Error> {
    let tile = sizes.output_pixels() * sizes.depth() * TILE;
    let channels = (MAX_WORK / tile * TILE).clamp(TILE, MAX_CHANNELS);
    let chunks = sizes.outputs.div_ceil(channels) as u64;
    let units = product(&[sizes.batch as u64, sizes.groups as u64, chunks], "the convolution")?;

    let Conv2dData { input, filters, bias, residual, output } = data;
    let output = SharedOutput::new(output);
    let small = Small {
        sizes,
        activation,
        input,
        filters,
        bias,
        residual,
        output,
        set,
        channels,
        chunks,
        units,
    };
    run_work(&small, set, start, team)
}

/// A checked convolution. A unit is some output channels of a group of an image.
struct Small<'a> {
    sizes: Sizes,
    activation: Activation,
    input: &'a [f32],
    filters: &'a [f32],
    bias: &'a [f32],
    residual: &'a [f32],
    output: SharedOutput<'a, f32>,
    set: InstructionSet,
    /// The most output channels of a unit.
    channels: usize,
    /// Units of a group.
    chunks: u64,
    units: u64,
}

impl Work for Small<'_> {
    /// The windows, and room for a block of inputs and for the sums.
    type Memory = (Windows, Scratch<f32>);

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
        let channels = self.channels.min(self.sizes.outputs);
        (self.sizes.output_pixels() * self.sizes.depth() * channels) as u64
    }

    fn memory(&self) -> Self::Memory {
        (Windows::default(), scratch::numbers(BLOCK + MAX_PIXELS * MAX_CHANNELS))
    }

    fn run(&self, units: Range<u64>, _step: u64, (windows, scratch): &mut Self::Memory) -> u64 {
        let (block, sums) = scratch.split_at_mut(BLOCK);
        let unit = |unit: u64| {
            let image_and_group = (unit / self.chunks) as usize;
            let place = [image_and_group / self.sizes.groups, image_and_group % self.sizes.groups];
            let first = (unit % self.chunks) as usize * self.channels;
            let count = self.channels.min(self.sizes.outputs - first);
            self.run_unit(place, [first, count], windows, block, sums)
        };
        units.map(unit).sum()
    }
}

impl Small<'_> {
    /// Computes output channels of a group of an image. Returns the number of multiplications.
    fn run_unit(
        &self,
        place: [usize; 2],
        [first, count]: [usize; 2],
        windows: &mut Windows,
        block: &mut [f32],
        sums: &mut [f32],
    ) -> u64 {
        let (depth, pixels) = (self.sizes.depth(), self.sizes.output_pixels());
        for first_element in (0..depth).step_by(DEPTH) {
            let elements = DEPTH.min(depth - first_element);
            let matrix = Matrix { sizes: &self.sizes, input: self.input, set: self.set };
            let range = [first_element, elements];
            matrix.fill(windows, place, [0, pixels], range, block);
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
            left: Left { values: block, row: 1, panel: PANEL_LEN, depth: PANEL },
            right: Right {
                values: &self.filters[filters + first_element * PANEL..],
                panel: depth * PANEL,
                depth: PANEL,
            },
            finish: Finish {
                scale: 1.0,
                first: first_element == 0,
                column_bias: &[],
                row_bias: &[],
                residual: &[],
                clamp: None,
            },
        };
        let rows = product.rows;
        product.run(self.set, &mut Part::of_slice(sums, rows, count));
    }

    /// Writes the sums, with all that is done to them, to the output.
    fn write(&self, [image, group]: [usize; 2], [first, count]: [usize; 2], sums: &[f32]) {
        let pixels = self.sizes.output_pixels();
        let channel = group * self.sizes.outputs + first;
        let start = (image * self.sizes.groups * self.sizes.outputs + channel) * pixels;
        let mut output = self.output.borrow(Area::in_order(start, count * pixels));
        let output = output.row(0);

        for (index, output) in output.chunks_exact_mut(pixels).enumerate() {
            let bias = self.bias.get(channel + index).copied().unwrap_or(0.0);
            let sums = sums[index..].iter().step_by(count);
            output.iter_mut().zip(sums).for_each(|(output, sum)| *output = sum + bias);
        }
        if let Some(residual) = self.residual.get(start..start + count * pixels) {
            output.iter_mut().zip(residual).for_each(|(output, residual)| *output += residual);
        }
        self.activation.apply_with(self.set, output);
    }
}
