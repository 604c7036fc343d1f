//! Convolutions as products of matrices: of the filters, and of the matrix that im2col makes of an
//! image. It has a row for each element of a filter and a column for each output pixel, with the
//! input that the element is multiplied by at that pixel. Only a block of it exists at a time.

use std::ops::Range;

use super::window::{Run, Window, Windows};
use super::{Conv2dData, Sizes};
use crate::error::product;
use crate::scratch::{self, Scratch};
use crate::simd::{Area, Block, Finish, Left, Loop, PANEL, Right, SharedOutput};
use crate::work::{Work, run_work};
use crate::{Activation, Error, InstructionSet, Team};

/// The most output channels that are computed together. It bounds the time between two checkpoints.
const CHANNELS: usize = 512;

/// The output channels of a unit of work: as many as make no more than that many multiplications.
const UNIT_CHANNELS: [usize; 3] = [64, 32, 16];
const MOST_WORK: usize = 18_000_000;

/// The output pixels of a block: five tiles of products, so that the filters are read a fifth as
/// often as they would be for one.
const PIXELS: usize = 15 * PANEL;

/// The most elements of a filter in a block. A tile of the matrix is at most 36 KiB, so that it
/// stays in the first-level cache while all output channels use it.
pub(super) const DEPTH: usize = 192;

/// The distance of two panels of a block. It is no multiple of 4 KiB, because the numbers of a row
/// would compete for the same few lines of the cache.
pub(super) const PANEL_LEN: usize = (DEPTH + 1) * PANEL;

/// The most pixels of a block. The last block of an image takes up to a panel more, because a block
/// with few pixels would be slow.
const MAX_PIXELS: usize = PIXELS + PANEL;

pub(super) fn run(
    sizes: Sizes,
    activation: Activation,
    data: Conv2dData<'_>,
    set: InstructionSet,
    start: u64,
    team: &mut dyn Team,
) -> Result<Option<u64>, Error> {
    let blocks = sizes.output_pixels().saturating_sub(PANEL).div_ceil(PIXELS).max(1);
    let channels = channels_of_unit(&sizes);
    let counts = [sizes.batch, sizes.groups, blocks, sizes.outputs.div_ceil(channels)];
    let counts = counts.map(|count| count as u64);
    let units = product(&counts, "the convolution")?;
    let steps = sizes.depth().div_ceil(DEPTH) as u64;
    product(&[units, steps], "the convolution")?;

    let Conv2dData { input, filters, bias, residual, output } = data;
    let output = SharedOutput::new(output);
    let im2col = Im2col {
        sizes,
        activation,
        input,
        filters,
        bias,
        residual,
        output,
        set,
        channels,
        counts,
        units,
        steps,
    };
    run_work(&im2col, set, start, team)
}

/// Returns the output channels of a unit. They are whole panels of filters.
fn channels_of_unit(sizes: &Sizes) -> usize {
    let pixels = sizes.output_pixels().min(MAX_PIXELS);
    let channel = pixels.saturating_mul(sizes.depth());
    let fits = |channels: &usize| channel.saturating_mul(*channels) <= MOST_WORK;
    UNIT_CHANNELS.into_iter().find(fits).unwrap_or(UNIT_CHANNELS[0])
}

/// A checked convolution. A unit is some output channels at a block of pixels of an image, and a
/// step is some elements of their filters. A batch shares the block of the matrix.
struct Im2col<'a> {
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
    /// The number of images, groups, blocks of pixels, and units of a block.
    counts: [u64; 4],
    units: u64,
    steps: u64,
}

struct Memory {
    windows: Windows,
    /// A block of the matrix.
    block: Scratch<f32>,
    /// The number of that block, counted over all images, and the step.
    filled: Option<[u64; 2]>,
}

/// A step of some units.
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

impl Work for Im2col<'_> {
    type Memory = Memory;

    fn units(&self) -> u64 {
        self.units
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn batch(&self, first: u64) -> u64 {
        let of_block = self.counts[3];
        (of_block - first % of_block).min((CHANNELS / self.channels) as u64)
    }

    fn most_multiplications(&self) -> u64 {
        let channels = self.channels.min(self.sizes.outputs);
        let pixels = self.sizes.output_pixels().min(MAX_PIXELS);
        (channels * pixels) as u64 * self.sizes.depth() as u64
    }

    fn memory(&self) -> Memory {
        let block = scratch::numbers(PANEL_LEN * MAX_PIXELS / PANEL);
        Memory { windows: Windows::default(), block, filled: None }
    }

    fn run(&self, units: Range<u64>, step: u64, memory: &mut Memory) -> u64 {
        let piece = self.piece(&units, step);
        let block = [units.start / self.counts[3], step];
        if memory.filled != Some(block) {
            self.fill_block(&piece, memory);
            memory.filled = Some(block);
        }

        self.multiply(&piece, &memory.block);
        (piece.channel_count * piece.pixel_count * piece.element_count) as u64
    }
}

impl Im2col<'_> {
    /// Returns a step of some units, which are of one block.
    fn piece(&self, units: &Range<u64>, step: u64) -> Piece {
        let mut rest = units.start;
        let mut next = |axis: usize| {
            let index = rest % self.counts[axis];
            rest /= self.counts[axis];
            index as usize
        };

        let first_channel = next(3) * self.channels;
        let block = next(2);
        let group = next(1);
        let image = next(0);
        let channel_count = (units.end - units.start) as usize * self.channels;

        let first_element = step as usize * DEPTH;
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
            channel_count: channel_count.min(self.sizes.outputs - first_channel),
        }
    }

    fn fill_block(&self, piece: &Piece, memory: &mut Memory) {
        let pixels = [piece.first_pixel, piece.pixel_count];
        let elements = [piece.first_element, piece.element_count];
        let matrix = Matrix { sizes: &self.sizes, input: self.input, set: self.set };
        let Memory { windows, block, .. } = memory;
        matrix.fill(windows, [piece.image, piece.group], pixels, elements, block);
    }

    /// Multiplies the filters of a piece with a block of the matrix.
    fn multiply(&self, piece: &Piece, matrix: &[f32]) {
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
        let [rows, columns] = [piece.channel_count, piece.pixel_count];
        let mut output = self.output.borrow(Area { start, rows, columns, row: pixels });

        let block = Block {
            rows,
            columns,
            depth: piece.element_count,
            left: Left {
                values: &self.filters[filters..],
                row: 1,
                panel: depth * PANEL,
                depth: PANEL,
            },
            right: Right { values: matrix, panel: PANEL_LEN, depth: PANEL },
            finish: Finish {
                scale: 1.0,
                first: piece.first_element == 0,
                column_bias: &[],
                row_bias: suffix_from(self.bias, channel),
                residual: suffix_from(self.residual, start),
                clamp: self.activation.clamp().filter(|_| is_last),
            },
        };
        block.run(self.set, &mut output);

        if is_last && self.activation.is_curve() {
            (0..rows).for_each(|row| self.activation.apply_with(self.set, output.row(row)));
        }
    }
}

/// The matrix of a convolution.
pub(super) struct Matrix<'a> {
    pub(super) sizes: &'a Sizes,
    pub(super) input: &'a [f32],
    pub(super) set: InstructionSet,
}

impl Matrix<'_> {
    /// Fills `block` with the elements of a filter at the pixels of a group of an image: panels of
    /// 16 pixels with `DEPTH` rows. Ranges are a start and a length.
    pub(super) fn fill(
        &self,
        windows: &mut Windows,
        [image, group]: [usize; 2],
        pixels: [usize; 2],
        [first_element, elements]: [usize; 2],
        block: &mut [f32],
    ) {
        let sizes = self.sizes;
        let area = sizes.kernel_area();
        let element = first_element % area;
        // The windows of all elements serve every step, if they are not too many.
        let [first_window, window_count] =
            if area <= DEPTH { [0, area] } else { [element, elements] };
        windows.set(sizes, pixels, [first_window, window_count]);

        let channel = (image * sizes.groups + group) * sizes.inputs + first_element / area;
        let channel_len = sizes.input_pixels();
        self.set.compiled(Fill {
            windows,
            input: self.input,
            channel: channel * channel_len,
            channel_len,
            element,
            first_window,
            elements,
            area,
            block,
        });
    }
}

/// Fills a block of the matrix.
struct Fill<'a> {
    windows: &'a Windows,
    input: &'a [f32],
    /// The start of the channel of the first element.
    channel: usize,
    channel_len: usize,
    /// The first element, within its channel.
    element: usize,
    /// The element of the first window.
    first_window: usize,
    elements: usize,
    area: usize,
    block: &'a mut [f32],
}

impl Loop for Fill<'_> {
    #[inline(always)]
    fn run(self) {
        match self.windows.stride() {
            1 => self.fill::<1>(),
            2 => self.fill::<2>(),
            _ => self.fill::<0>(),
        }
    }
}

impl Fill<'_> {
    /// Fills the rows of one channel after another. `STRIDE` is 0 for any other than 1 and 2.
    #[inline(always)]
    fn fill<const STRIDE: usize>(mut self) {
        let mut done = 0;

        while done < self.elements {
            let count = (self.elements - done).min(self.area - self.element);
            if let Some((window, runs)) = self.windows.one_element() {
                self.fill_row::<STRIDE>(&window, runs, done);
            } else {
                self.fill_rows::<STRIDE>(done, count);
            }

            done += count;
            self.channel += self.channel_len;
            self.element = 0;
        }
    }

    /// Fills the row `row` of every panel with the only element of a channel.
    #[inline(always)]
    fn fill_row<const STRIDE: usize>(&mut self, window: &Window<'_>, runs: &[Run], row: usize) {
        let panels = self.block[row * PANEL..].chunks_mut(PANEL_LEN);
        for (run, panel) in runs.iter().zip(panels) {
            let inputs = window.inputs_of_run::<STRIDE>(*run, self.input, self.channel);
            panel[..PANEL].copy_from_slice(&inputs);
        }
    }

    /// Fills `count` rows of every panel, from `row` on, with elements of a channel.
    #[inline(always)]
    fn fill_rows<const STRIDE: usize>(&mut self, row: usize, count: usize) {
        let first = (self.element + self.area - self.first_window) % self.area;
        let elements = first..first + count;

        let panels = self.block[row * PANEL..].chunks_mut(PANEL_LEN);
        for (window, panel) in self.windows.panels().zip(panels) {
            let rows = panel.as_chunks_mut::<PANEL>().0.iter_mut();
            if let Some(runs) = window.simple_elements(elements.clone()) {
                for (run, row) in runs.iter().zip(rows) {
                    *row = window.inputs_of_run::<STRIDE>(*run, self.input, self.channel);
                }
            } else {
                for (runs, row) in window.elements(elements.clone()).zip(rows) {
                    *row = window.inputs::<STRIDE>(runs, self.input, self.channel);
                }
            }
        }
    }
}

/// Returns the values from an index on. An optional operand that is absent is empty, and stays so.
fn suffix_from(values: &[f32], start: usize) -> &[f32] {
    if values.is_empty() { values } else { &values[start..] }
}
