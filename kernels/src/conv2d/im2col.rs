//! Convolutions as products of matrices: of the filters, and of the matrix that im2col makes of an
//! image. It has a row for each element of a filter and a column for each output pixel, with the
//! input that the element is multiplied by at that pixel. Only a block of it exists at a time.

use super::window::{Windows, copy};
use super::{Conv2dData, Sizes};
use crate::error::product;
use crate::progress::run_pieces;
use crate::scratch::with_numbers;
use crate::simd::{Block, Finish, Left, PANEL, Right};
use crate::{Activation, Checkpoint, Error, InstructionSet};

/// The most output channels of a piece of work. It bounds the time between two checkpoints.
const CHANNELS: usize = 512;

/// The output pixels of a block, and the most elements of a filter in it. A block of the matrix is
/// at most 48 KiB, so that it stays in the caches of a core while all output channels use it.
const PIXELS: usize = 3 * PANEL;
const DEPTH: usize = 192;

/// The most pixels of a block. The last block of an image takes up to a panel more, because a block
/// with few pixels would be slow.
const MAX_PIXELS: usize = PIXELS + PANEL;

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

    let mut im2col = Im2col { sizes, activation, data, set, counts, windows: Windows::default() };
    let mut filled = None;

    with_numbers(DEPTH * MAX_PIXELS, |scratch| {
        run_pieces(set, start, pieces, checkpoint, |index| {
            let piece = im2col.piece(index);
            let block = index / counts[4];

            if filled != Some(block) {
                im2col.fill_block(&piece, scratch);
                filled = Some(block);
            }
            im2col.run(&piece, scratch)
        })
    })
}

/// A checked convolution, split into pieces by image, group, block of pixels, elements of a filter
/// and output channels. Consecutive pieces differ in their output channels first.
struct Im2col<'a> {
    sizes: Sizes,
    activation: Activation,
    data: Conv2dData<'a>,
    set: InstructionSet,
    /// The number of pieces along each of these.
    counts: [u64; 5],
    windows: Windows,
}

/// A piece of work.
struct Piece {
    image: usize,
    group: usize,
    first_pixel: usize,
    pixel_count: usize,
    /// The first element of a filter.
    first_element: usize,
    element_count: usize,
    /// The first output channel within the group.
    first_channel: usize,
    channel_count: usize,
}

impl Im2col<'_> {
    fn piece(&self, index: u64) -> Piece {
        let mut rest = index;
        let mut next = |axis: usize| {
            let index = rest % self.counts[axis];
            rest /= self.counts[axis];
            index as usize
        };

        let first_channel = next(4) * CHANNELS;
        let first_element = next(3) * DEPTH;
        let block = next(2);
        let group = next(1);
        let image = next(0);

        let first_pixel = block * PIXELS;
        let is_last = block as u64 + 1 == self.counts[2];
        let pixel_count = if is_last { self.sizes.output_pixels() - first_pixel } else { PIXELS };

        Piece {
            image,
            group,
            first_pixel,
            pixel_count,
            first_element,
            element_count: DEPTH.min(self.sizes.depth() - first_element),
            first_channel,
            channel_count: CHANNELS.min(self.sizes.outputs - first_channel),
        }
    }

    /// Fills `scratch` with a block of the matrix: a row of `MAX_PIXELS` for each element.
    fn fill_block(&mut self, piece: &Piece, scratch: &mut [f32]) {
        let sizes = &self.sizes;
        let area = sizes.kernel_area();
        let channel_len = sizes.input_pixels();
        let channel = (piece.image * sizes.groups + piece.group) * sizes.inputs;

        let is_pointwise = area == 1
            && sizes.strides == [1, 1]
            && sizes.pads == [0, 0]
            && sizes.input == sizes.output;
        let first_element = piece.first_element % area;
        if !is_pointwise {
            let elements = [first_element, piece.element_count.min(area)];
            self.windows.set(sizes, piece.first_pixel, piece.pixel_count, elements);
        }

        let rows = scratch.chunks_exact_mut(MAX_PIXELS).take(piece.element_count);
        for (index, row) in rows.enumerate() {
            let start = (channel + (piece.first_element + index) / area) * channel_len;
            let input = &self.data.input[start..][..channel_len];

            if is_pointwise {
                copy(&input[piece.first_pixel..], row, piece.pixel_count);
            } else {
                self.windows.copy(index % area, input, row);
            }
        }
    }

    /// Computes a piece. Returns the number of its multiplications.
    fn run(&mut self, piece: &Piece, scratch: &[f32]) -> u64 {
        let Sizes { groups, outputs, .. } = self.sizes;
        let depth = self.sizes.depth();
        let pixels = self.sizes.output_pixels();
        let is_last = piece.first_element + piece.element_count == depth;

        let group_filters = depth * outputs.next_multiple_of(PANEL);
        let panel = piece.first_channel / PANEL;
        let in_panel = piece.first_element * PANEL;
        let filters = piece.group * group_filters + panel * depth * PANEL + in_panel;

        let channel = piece.group * outputs + piece.first_channel;
        let start = (piece.image * groups * outputs + channel) * pixels + piece.first_pixel;
        let finish = Finish {
            scale: 1.0,
            first: piece.first_element == 0,
            column_bias: &[],
            row_bias: suffix_from(self.data.bias, channel),
            residual: suffix_from(self.data.residual, start),
            clamp: self.activation.clamp().filter(|_| is_last),
        };

        let block = Block {
            rows: piece.channel_count,
            columns: piece.pixel_count,
            depth: piece.element_count,
            left: Left {
                values: &self.data.filters[filters..],
                row: 1,
                panel: depth * PANEL,
                depth: PANEL,
            },
            right: Right { values: scratch, panel: PANEL, depth: MAX_PIXELS },
            output: &mut self.data.output[start..],
            output_row: pixels,
            finish,
        };
        block.run(self.set);

        if is_last && self.activation.is_curve() {
            for channel in 0..piece.channel_count {
                let start = start + channel * pixels;
                self.activation.apply(&mut self.data.output[start..start + piece.pixel_count]);
            }
        }

        (piece.channel_count * piece.pixel_count * piece.element_count) as u64
    }
}

/// Returns the values from an index on. An optional operand that is absent is empty, and stays so.
fn suffix_from(values: &[f32], start: usize) -> &[f32] {
    if values.is_empty() { values } else { &values[start..] }
}
