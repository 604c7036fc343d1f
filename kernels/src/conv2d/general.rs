//! Convolutions as products: of the filters, and of a matrix that has what the elements of a filter
//! meet in its rows and pixels in its columns. That matrix is made block by block.

use super::window::{Windows, copy};
use super::{Conv2dData, Sizes};
use crate::error::product;
use crate::progress::run_pieces;
use crate::scratch::with_numbers;
use crate::simd::{Block, Finish, Left, PANEL, Right};
use crate::{Activation, Checkpoint, Error, InstructionSet};

/// The most output channels, pixels and elements of a filter in a piece of work.
const CHANNELS: usize = 512;
const PIXELS: usize = 3 * PANEL;
const DEPTH: usize = 192;

/// The last block has up to a panel more, rather than a block of its own with a few pixels.
const MOST_PIXELS: usize = PIXELS + PANEL;

pub(super) fn run(
    sizes: Sizes,
    activation: Activation,
    data: Conv2dData<'_>,
    set: InstructionSet,
    start: u64,
    checkpoint: Checkpoint<'_>,
) -> Result<Option<u64>, Error> {
    let blocks = sizes.output_pixels().saturating_sub(PANEL).div_ceil(PIXELS).max(1);
    let counts = [
        sizes.batch,
        sizes.groups,
        blocks,
        sizes.depth().div_ceil(DEPTH),
        sizes.outputs.div_ceil(CHANNELS),
    ];
    let counts = counts.map(|count| count as u64);
    let pieces = product(&counts, "the convolution")?;

    let mut work = Work { sizes, activation, data, set, counts, windows: Windows::default() };
    let mut gathered = None;

    with_numbers(DEPTH * MOST_PIXELS, |scratch| {
        run_pieces(set, start, pieces, checkpoint, |index| {
            let piece = work.piece(index);
            let block = index / counts[4];

            if gathered != Some(block) {
                work.gather(&piece, scratch);
                gathered = Some(block);
            }
            work.run(&piece, scratch)
        })
    })
}

/// A checked convolution, taken apart into pieces: by image, group, pixels, elements of a filter
/// and output channels, the last first.
struct Work<'a> {
    sizes: Sizes,
    activation: Activation,
    data: Conv2dData<'a>,
    set: InstructionSet,
    /// The number of pieces along each of them.
    counts: [u64; 5],
    windows: Windows,
}

/// A piece of work.
struct Piece {
    image: usize,
    group: usize,
    pixel: usize,
    pixels: usize,
    depth: usize,
    depths: usize,
    channel: usize,
    channels: usize,
}

impl Work<'_> {
    fn piece(&self, index: u64) -> Piece {
        let mut rest = index;
        let mut next = |axis: usize| {
            let place = rest % self.counts[axis];
            rest /= self.counts[axis];
            place as usize
        };

        let channel = next(4) * CHANNELS;
        let depth = next(3) * DEPTH;
        let block = next(2);
        let group = next(1);
        let image = next(0);

        let pixel = block * PIXELS;
        let is_last = block as u64 + 1 == self.counts[2];
        let pixels = if is_last { self.sizes.output_pixels() - pixel } else { PIXELS };

        Piece {
            image,
            group,
            pixel,
            pixels,
            depth,
            depths: DEPTH.min(self.sizes.depth() - depth),
            channel,
            channels: CHANNELS.min(self.sizes.outputs - channel),
        }
    }

    /// Makes a block of the matrix of pixels.
    fn gather(&mut self, piece: &Piece, scratch: &mut [f32]) {
        let sizes = &self.sizes;
        let area = sizes.kernel_area();
        let pixels_of_channel = sizes.input_pixels();
        let channel = (piece.image * sizes.groups + piece.group) * sizes.inputs;

        let is_plain = area == 1
            && sizes.strides == [1, 1]
            && sizes.pads == [0, 0]
            && sizes.input == sizes.output;
        let first_element = piece.depth % area;
        if !is_plain {
            let elements = [first_element, piece.depths.min(area)];
            self.windows.set(sizes, piece.pixel, piece.pixels, elements);
        }

        for (index, row) in scratch.chunks_exact_mut(MOST_PIXELS).take(piece.depths).enumerate() {
            let start = (channel + (piece.depth + index) / area) * pixels_of_channel;
            let input = &self.data.input[start..][..pixels_of_channel];

            if is_plain {
                copy(&input[piece.pixel..], row, piece.pixels);
            } else {
                self.windows.copy(index % area, input, row);
            }
        }
    }

    /// Computes a piece. Returns its multiplications.
    fn run(&mut self, piece: &Piece, scratch: &[f32]) -> u64 {
        let Sizes { groups, outputs, .. } = self.sizes;
        let depth = self.sizes.depth();
        let pixels = self.sizes.output_pixels();
        let is_last = piece.depth + piece.depths == depth;

        let group_filters = depth * outputs.next_multiple_of(PANEL);
        let panel = piece.channel / PANEL;
        let filters = piece.group * group_filters + panel * depth * PANEL + piece.depth * PANEL;

        let channel = piece.group * outputs + piece.channel;
        let start = (piece.image * groups * outputs + channel) * pixels + piece.pixel;
        let finish = Finish {
            scale: 1.0,
            first: piece.depth == 0,
            column_bias: &[],
            row_bias: from_place(self.data.bias, channel),
            residual: from_place(self.data.residual, start),
            clamp: self.activation.clamp().filter(|_| is_last),
        };

        let block = Block {
            rows: piece.channels,
            columns: piece.pixels,
            depth: piece.depths,
            left: Left {
                values: &self.data.filters[filters..],
                row: 1,
                panel: depth * PANEL,
                depth: PANEL,
            },
            right: Right { values: scratch, panel: PANEL, depth: MOST_PIXELS },
            output: &mut self.data.output[start..],
            output_row: pixels,
            finish,
        };
        block.run(self.set);

        if is_last && self.activation.is_curve() {
            for channel in 0..piece.channels {
                let start = start + channel * pixels;
                self.activation.apply(&mut self.data.output[start..start + piece.pixels]);
            }
        }

        (piece.channels * piece.pixels * piece.depths) as u64
    }
}

/// Returns what there is from a place on; nothing if there is nothing.
fn from_place(values: &[f32], start: usize) -> &[f32] {
    if values.is_empty() { values } else { &values[start..] }
}
