//! Convolutions as products of matrices: of the filters, and of the matrix that im2col makes of an
//! image. It has a row for each element of a filter and a column for each output pixel, with the
//! input that the element is multiplied by at that pixel. Only a block of it exists at a time.

use super::window::{Panels, Windows};
use super::{Conv2dData, Sizes};
use crate::error::product;
use crate::progress::run_pieces;
use crate::scratch::with_numbers;
use crate::simd::{Block, Finish, Left, PANEL, Right};
use crate::{Activation, Checkpoint, Error, InstructionSet};

/// The most output channels of a piece of work. It bounds the time between two checkpoints.
const CHANNELS: usize = 512;

/// The output pixels of a block: five tiles of products, so that the filters are read a fifth as
/// often as they would be for one.
const PIXELS: usize = 15 * PANEL;

/// The most elements of a filter in a block. A tile of the matrix is at most 36 KiB, so that it
/// stays in the first-level cache while all output channels use it.
pub(super) const DEPTH: usize = 192;

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

    fn fill_block(&mut self, piece: &Piece, scratch: &mut [f32]) {
        let pixels = [piece.first_pixel, piece.pixel_count];
        let elements = [piece.first_element, piece.element_count];
        let matrix = Matrix { sizes: &self.sizes, input: self.data.input };
        matrix.fill(&mut self.windows, [piece.image, piece.group], pixels, elements, scratch);
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
            right: Right { values: scratch, panel: DEPTH * PANEL, depth: PANEL },
            output: &mut self.data.output[start..],
            output_row: pixels,
            finish,
        };
        block.run(self.set);

        if is_last && self.activation.is_curve() {
            for channel in 0..piece.channel_count {
                let start = start + channel * pixels;
                let output = &mut self.data.output[start..start + piece.pixel_count];
                self.activation.apply_with(self.set, output);
            }
        }

        (piece.channel_count * piece.pixel_count * piece.element_count) as u64
    }
}

/// The matrix of a convolution.
pub(super) struct Matrix<'a> {
    pub(super) sizes: &'a Sizes,
    pub(super) input: &'a [f32],
}

impl Matrix<'_> {
    /// Fills `block` with the elements of a filter at the pixels of a group of an image: panels of
    /// 16 pixels with `DEPTH` rows. Ranges are a start and a length.
    pub(super) fn fill(
        &self,
        windows: &mut Windows,
        [image, group]: [usize; 2],
        [first_pixel, pixels]: [usize; 2],
        [first_element, elements]: [usize; 2],
        block: &mut [f32],
    ) {
        let sizes = self.sizes;
        let area = sizes.kernel_area();
        let channel_len = sizes.input_pixels();
        let channel = (image * sizes.groups + group) * sizes.inputs;
        let panels = Panels { panel: DEPTH * PANEL, pixels };
        let mut row = [0.0; MAX_PIXELS];

        windows.set(sizes, first_pixel, pixels, [first_element % area, elements.min(area)]);
        for index in 0..elements {
            let start = (channel + (first_element + index) / area) * channel_len;
            let input = &self.input[start..][..channel_len];
            let place = [index % area, first_pixel];
            windows.fill_row(place, input, &mut block[index * PANEL..], &panels, &mut row);
        }
    }
}

/// Returns the values from an index on. An optional operand that is absent is empty, and stays so.
fn suffix_from(values: &[f32], start: usize) -> &[f32] {
    if values.is_empty() { values } else { &values[start..] }
}
