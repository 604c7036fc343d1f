//! Convolutions whose groups have one input channel.

use std::ops::Range;

use super::window::Windows;
use super::{Conv2dData, Sizes};
use crate::error::product;
use crate::scratch::{self, Scratch};
use crate::simd::{Area, SharedOutput};
use crate::work::{Work, run_work};
use crate::{Activation, Error, InstructionSet, Team};

/// The most pixels of a unit of work: 4 KiB of output, which stay in the first-level cache while
/// each element of the filter adds to them.
const PIXELS: usize = 1024;

/// Units that are computed together, because one is short.
const BATCH: u64 = 16;

pub(super) fn run(
    sizes: Sizes,
    activation: Activation,
    data: Conv2dData<'_>,
    set: InstructionSet,
    start: u64,
    team: &mut dyn Team,
) -> Result<Option<u64>, Error> {
    let blocks = sizes.output_pixels().div_ceil(PIXELS) as u64;
    let channels = sizes.groups as u64 * sizes.outputs as u64;
    let units = product(&[sizes.batch as u64, channels, blocks], "the convolution")?;

    let Conv2dData { input, filters, bias, residual, output } = data;
    let output = SharedOutput::new(output);
    let depthwise =
        Depthwise { sizes, activation, input, filters, bias, residual, output, set, blocks, units };
    run_work(&depthwise, set, start, team)
}

/// A checked convolution. A unit is a block of pixels of an output channel.
struct Depthwise<'a> {
    sizes: Sizes,
    activation: Activation,
    input: &'a [f32],
    filters: &'a [f32],
    bias: &'a [f32],
    residual: &'a [f32],
    output: SharedOutput<'a, f32>,
    set: InstructionSet,
    /// Blocks of a channel.
    blocks: u64,
    units: u64,
}

struct Memory {
    windows: Windows,
    /// The first pixel and the number of pixels of `windows`; `None` before the first unit.
    window_pixels: Option<(usize, usize)>,
    scratch: Scratch<f32>,
}

impl Work for Depthwise<'_> {
    type Memory = Memory;

    fn units(&self) -> u64 {
        self.units
    }

    fn steps(&self) -> u64 {
        1
    }

    fn batch(&self, _first: u64) -> u64 {
        BATCH
    }

    fn most_multiplications(&self) -> u64 {
        (PIXELS.min(self.sizes.output_pixels()) * self.sizes.kernel_area()) as u64
    }

    fn memory(&self) -> Memory {
        let scratch = scratch::numbers(PIXELS);
        Memory { windows: Windows::default(), window_pixels: None, scratch }
    }

    fn run(&self, units: Range<u64>, _step: u64, memory: &mut Memory) -> u64 {
        let unit = |unit: u64| {
            let first_pixel = (unit % self.blocks) as usize * PIXELS;
            self.run_unit((unit / self.blocks) as usize, first_pixel, memory)
        };
        units.map(unit).sum()
    }
}

impl Depthwise<'_> {
    /// Computes pixels of an output channel, which is counted over all images. Returns the number
    /// of multiplications.
    fn run_unit(&self, channel_of_all: usize, first_pixel: usize, memory: &mut Memory) -> u64 {
        let Memory { windows, window_pixels, scratch } = memory;
        let sizes = &self.sizes;
        let channels = sizes.groups * sizes.outputs;
        let channel = channel_of_all % channels;
        let image = channel_of_all / channels;

        let pixels = sizes.output_pixels();
        let count = PIXELS.min(pixels - first_pixel);
        let area = sizes.kernel_area();
        if *window_pixels != Some((first_pixel, count)) {
            windows.set(sizes, first_pixel, count, [0, area]);
            *window_pixels = Some((first_pixel, count));
        }

        let filter = &self.filters[channel * area..][..area];

        let input = (image * sizes.groups + channel / sizes.outputs) * sizes.input_pixels();
        let input = &self.input[input..][..sizes.input_pixels()];

        let start = channel_of_all * pixels + first_pixel;
        let mut output = self.output.borrow(Area::in_order(start, count));
        let output = output.row(0);
        output.fill(self.bias.get(channel).copied().unwrap_or(0.0));
        if let Some(residual) = self.residual.get(start..start + count) {
            output.iter_mut().zip(residual).for_each(|(output, residual)| *output += residual);
        }

        let scratch = &mut scratch[..count];
        for (index, weight) in filter.iter().enumerate() {
            windows.copy(index, input, scratch);
            output.iter_mut().zip(&*scratch).for_each(|(output, value)| *output += weight * value);
        }

        self.activation.apply_with(self.set, output);
        (count * area) as u64
    }
}
