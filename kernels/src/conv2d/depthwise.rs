//! Convolutions whose groups have one input channel.

use std::ops::Range;

use super::rows::{RowSums, Rows};
use super::window::{Window, Windows};
use super::{Conv2dData, Sizes};
use crate::error::product;
use crate::scratch::{self, Scratch};
use crate::simd::{Area, Loop, PANEL, SharedOutput};
use crate::work::{Work, run_work};
use crate::{Activation, Error, InstructionSet, Team};

/// The most pixels of a unit of work.
const PIXELS: usize = 1024;

/// Units that are computed together, because one is short.
const BATCH: u64 = 16;

/// A multiplication takes about as long as that many of a product of matrices.
const COST: u64 = 8;

pub(super) fn run(
    sizes: Sizes,
    activation: Activation,
    data: Conv2dData<'_>,
    set: InstructionSet,
    start: u64,
    team: &mut dyn Team,
) -> Result<Option<u64>, Error> {
    let rows = Rows::new(&sizes, PIXELS);
    let pixels = rows.map_or(PIXELS, |rows| rows.count * sizes.output[1]);
    let blocks = sizes.output_pixels().div_ceil(pixels) as u64;
    let channels = [sizes.batch, sizes.groups, sizes.outputs].map(|count| count as u64);
    let channels = product(&channels, "the convolution")?;
    let units = product(&[channels, blocks], "the convolution")?;

    let Conv2dData { input, filters, bias, residual, output } = data;
    let output = SharedOutput::new(output);
    let depthwise = Depthwise {
        sizes,
        activation,
        input,
        filters,
        bias,
        residual,
        output,
        set,
        rows,
        pixels,
        channels,
        units,
    };
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
    /// `None` if rows are too long.
    rows: Option<Rows>,
    /// The pixels of a unit.
    pixels: usize,
    /// Output channels of all images. Those of a block of pixels are consecutive units, because
    /// they have the same windows.
    channels: u64,
    units: u64,
}

impl Work for Depthwise<'_> {
    /// Room for rows, or windows.
    type Memory = (Scratch<f32>, Windows);

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
        (self.pixels.min(self.sizes.output_pixels()) * self.sizes.kernel_area()) as u64 * COST
    }

    fn memory(&self) -> Self::Memory {
        let count = self.rows.map_or(0, |rows| rows.scratch(&self.sizes));
        (scratch::numbers(count), Windows::default())
    }

    fn run(&self, units: Range<u64>, _step: u64, memory: &mut Self::Memory) -> u64 {
        let unit = |unit: u64| {
            let first_pixel = (unit / self.channels) as usize * self.pixels;
            self.run_unit((unit % self.channels) as usize, first_pixel, memory)
        };
        units.map(unit).sum()
    }
}

impl Depthwise<'_> {
    /// Computes pixels of an output channel, which is counted over all images. Returns the cost, as
    /// a number of multiplications.
    fn run_unit(
        &self,
        channel_of_all: usize,
        first_pixel: usize,
        (scratch, windows): &mut (Scratch<f32>, Windows),
    ) -> u64 {
        let sizes = &self.sizes;
        let channels = sizes.groups * sizes.outputs;
        let channel = channel_of_all % channels;
        let image = channel_of_all / channels;

        let pixels = sizes.output_pixels();
        let count = self.pixels.min(pixels - first_pixel);
        let area = sizes.kernel_area();

        let start = channel_of_all * pixels + first_pixel;
        let mut output = self.output.borrow(Area::in_order(start, count));
        let output = output.row(0);
        output.fill(self.bias.get(channel).copied().unwrap_or(0.0));
        if let Some(residual) = self.residual.get(start..start + count) {
            output.iter_mut().zip(residual).for_each(|(output, residual)| *output += residual);
        }

        let group = image * sizes.groups + channel / sizes.outputs;
        let input = group * sizes.input_pixels();
        let filter = &self.filters[channel * area..][..area];
        if let Some(rows) = self.rows {
            self.set.compiled(RowSums {
                rows,
                sizes,
                filter,
                input: &self.input[input..][..sizes.input_pixels()],
                first_row: first_pixel / sizes.output[1],
                output,
                scratch,
            });
        } else {
            windows.set(sizes, [first_pixel, count], [0, area]);
            let sums = Sums { windows, filter, input: self.input, channel: input, output };
            self.set.compiled(sums);
        }

        self.activation.apply_with(self.set, output);
        (count * area) as u64 * COST
    }
}

/// Adds the products of a filter and its windows to an output.
struct Sums<'a> {
    windows: &'a Windows,
    filter: &'a [f32],
    input: &'a [f32],
    /// The start of the channel of the input.
    channel: usize,
    output: &'a mut [f32],
}

impl Loop for Sums<'_> {
    #[inline(always)]
    fn run(self) {
        match self.windows.stride() {
            1 => self.add::<1>(),
            2 => self.add::<2>(),
            _ => self.add::<0>(),
        }
    }
}

impl Sums<'_> {
    /// `STRIDE` is 0 for any other than 1 and 2.
    #[inline(always)]
    fn add<const STRIDE: usize>(self) {
        for (window, output) in self.windows.panels().zip(self.output.chunks_mut(PANEL)) {
            let sums = match add_at_once::<STRIDE>(&window, self.filter, self.input, self.channel) {
                Some(sums) => sums,
                None => add_any::<STRIDE>(&window, self.filter, self.input, self.channel),
            };

            match output.as_mut_array::<PANEL>() {
                Some(output) => *output = std::array::from_fn(|lane| output[lane] + sums[lane]),
                None => output.iter_mut().zip(sums).for_each(|(output, sum)| *output += sum),
            }
        }
    }
}

/// Returns the sums of a panel, if all its inputs can be read at once.
#[inline(always)]
fn add_at_once<const STRIDE: usize>(
    window: &Window<'_>,
    filter: &[f32],
    input: &[f32],
    channel: usize,
) -> Option<[f32; PANEL]> {
    let mut sums = [0.0; PANEL];
    for (run, weight) in window.simple_elements(0..filter.len())?.iter().zip(filter) {
        let inputs = window.inputs_at_once::<STRIDE>(*run, input, channel)?;
        for lane in 0..PANEL {
            sums[lane] += weight * inputs[lane];
        }
    }
    Some(sums)
}

/// Returns the sums of a panel.
#[inline(always)]
fn add_any<const STRIDE: usize>(
    window: &Window<'_>,
    filter: &[f32],
    input: &[f32],
    channel: usize,
) -> [f32; PANEL] {
    let mut sums = [0.0; PANEL];
    for (runs, weight) in window.elements(0..filter.len()).zip(filter) {
        let inputs = window.inputs::<STRIDE>(runs, input, channel);
        for lane in 0..PANEL {
            sums[lane] += weight * inputs[lane];
        }
    }
    sums
}
