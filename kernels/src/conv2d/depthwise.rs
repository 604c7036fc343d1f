//! Convolutions whose groups have one input channel.

use super::window::Windows;
use super::{Conv2dData, Sizes};
use crate::error::product;
use crate::progress::run_pieces;
use crate::scratch::with_numbers;
use crate::{Activation, Checkpoint, Error, InstructionSet};

/// The most pixels of a piece of work: 4 KiB of output, which stay in the first-level cache while
/// each element of the filter adds to them.
const PIXELS: usize = 1024;

pub(super) fn run(
    sizes: Sizes,
    activation: Activation,
    data: Conv2dData<'_>,
    set: InstructionSet,
    start: u64,
    checkpoint: Checkpoint<'_>,
) -> Result<Option<u64>, Error> {
    let blocks = sizes.output_pixels().div_ceil(PIXELS) as u64;
    let channels = sizes.groups as u64 * sizes.outputs as u64;
    let pieces = product(&[sizes.batch as u64, channels, blocks], "the convolution")?;
    let windows = Windows::default();
    let mut depthwise = Depthwise { sizes, activation, data, set, windows, window_pixels: None };

    with_numbers(PIXELS, |scratch| {
        run_pieces(set, start, pieces, checkpoint, |piece| {
            let block = (piece % blocks) as usize;
            let channel_of_all = (piece / blocks) as usize;
            depthwise.run(channel_of_all, block * PIXELS, scratch)
        })
    })
}

struct Depthwise<'a> {
    sizes: Sizes,
    activation: Activation,
    data: Conv2dData<'a>,
    set: InstructionSet,
    windows: Windows,
    /// The first pixel and the number of pixels of `windows`; `None` before the first piece.
    window_pixels: Option<(usize, usize)>,
}

impl Depthwise<'_> {
    /// Computes pixels of an output channel, which is counted over all images. Returns the number
    /// of multiplications.
    fn run(&mut self, channel_of_all: usize, first_pixel: usize, scratch: &mut [f32]) -> u64 {
        let sizes = &self.sizes;
        let channels = sizes.groups * sizes.outputs;
        let channel = channel_of_all % channels;
        let image = channel_of_all / channels;

        let pixels = sizes.output_pixels();
        let count = PIXELS.min(pixels - first_pixel);
        let area = sizes.kernel_area();
        if self.window_pixels != Some((first_pixel, count)) {
            self.windows.set(sizes, first_pixel, count, [0, area]);
            self.window_pixels = Some((first_pixel, count));
        }

        let filter = &self.data.filters[channel * area..][..area];

        let input = (image * sizes.groups + channel / sizes.outputs) * sizes.input_pixels();
        let input = &self.data.input[input..][..sizes.input_pixels()];

        let start = channel_of_all * pixels + first_pixel;
        let output = &mut self.data.output[start..start + count];
        output.fill(self.data.bias.get(channel).copied().unwrap_or(0.0));
        if let Some(residual) = self.data.residual.get(start..start + count) {
            output.iter_mut().zip(residual).for_each(|(output, residual)| *output += residual);
        }

        let scratch = &mut scratch[..count];
        for (index, weight) in filter.iter().enumerate() {
            self.windows.copy(index, input, scratch);
            output.iter_mut().zip(&*scratch).for_each(|(output, value)| *output += weight * value);
        }

        self.activation.apply_with(self.set, output);
        (count * area) as u64
    }
}
