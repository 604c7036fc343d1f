//! The input pixels that each element of a filter is multiplied by.

use std::ops::Range;
use std::slice::ChunksExact;

use super::Sizes;
use crate::simd::PANEL;

/// The inputs of an element of a filter at some pixels of a panel. They are equally far apart.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// The index in a channel of the input of the first pixel of the panel, if the run reached
    /// there. It wraps around below 0.
    start: usize,
    /// The index of the mask of the pixels of the run whose input is within the image.
    mask: usize,
}

/// A bit for each pixel of a panel.
type Bits = u16;

/// All bits of the numbers of some pixels of a panel.
type Mask = [u32; PANEL];

/// The masks among which an equal one is looked for.
const LATEST_MASKS: usize = 16;

/// The inputs of each element of a filter at some consecutive pixels of the output, which are taken
/// as panels of 16.
///
/// They are the same for every channel, so they are computed once for all channels.
#[derive(Default)]
pub(super) struct Windows {
    /// The first pixel, the number of pixels, the first element and the number of elements.
    place: Option<[usize; 4]>,
    /// For each panel, the runs of the first element, of the next one, and so on.
    runs: Vec<Run>,
    panels: Vec<Panel>,
    /// The masks of the runs, of which most are equal, and their bits.
    masks: Vec<Mask>,
    bits: Vec<Bits>,
    stride: usize,
}

/// The runs of a panel.
#[derive(Clone, Copy)]
struct Panel {
    first_run: usize,
    /// The runs of each element.
    runs: usize,
}

/// The inputs at a panel of pixels.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    runs: &'a [Run],
    masks: &'a [Mask],
    runs_of_element: usize,
    stride: usize,
}

impl Windows {
    /// Computes the windows of `count` pixels from `first` on, for `elements` from `first_element`
    /// on, which may wrap around. All calls have the same sizes.
    pub(super) fn set(
        &mut self,
        sizes: &Sizes,
        [first, count]: [usize; 2],
        [first_element, elements]: [usize; 2],
    ) {
        let place = Some([first, count, first_element, elements]);
        if self.place == place {
            return;
        }
        self.place = place;
        self.runs.clear();
        self.panels.clear();
        self.masks.clear();
        self.bits.clear();
        self.stride = sizes.strides[1];

        for start in (first..first + count).step_by(PANEL) {
            let pixels = PANEL.min(first + count - start);
            let first_run = self.runs.len();
            for element in first_element..first_element + elements {
                self.add_runs(sizes, element % sizes.kernel_area(), [start, pixels]);
            }
            let runs = (self.runs.len() - first_run) / elements;
            self.panels.push(Panel { first_run, runs });
        }
    }

    /// Adds the runs of an element at the pixels of a panel: one for each row of the image, or one
    /// for all if its inputs keep their distance from the pixels.
    fn add_runs(&mut self, sizes: &Sizes, element: usize, [first, pixels]: [usize; 2]) {
        let width = sizes.output[1];
        let element = [element / sizes.kernel[1], element % sizes.kernel[1]];
        let [mut row, mut column] = [first / width, first % width];
        let mut of_all = 0;
        let mut lane = 0;

        while lane < pixels {
            let count = (pixels - lane).min(width - column);
            let (start, bits) = sizes.run(element, [row, column], lane, count);
            if sizes.keeps_rows() {
                of_all |= bits;
            } else {
                self.add_run(start, bits);
            }
            lane += count;
            row += 1;
            column = 0;
        }

        if sizes.keeps_rows() {
            self.add_run(first.wrapping_add_signed(sizes.distance(element)), of_all);
        }
    }

    fn add_run(&mut self, start: usize, bits: Bits) {
        let oldest = self.bits.len().saturating_sub(LATEST_MASKS);
        let known = self.bits[oldest..].iter().rposition(|known| *known == bits);
        let mask = known.map_or(self.bits.len(), |known| oldest + known);
        if known.is_none() {
            self.bits.push(bits);
            let of_lane = |lane| if bits >> lane & 1 == 0 { 0 } else { u32::MAX };
            self.masks.push(std::array::from_fn(of_lane));
        }
        self.runs.push(Run { start, mask });
    }

    /// Returns the distance of the inputs of two pixels side by side.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// Returns the runs of the panels, if there is one element with one run in each.
    pub(super) fn one_element(&self) -> Option<(Window<'_>, &[Run])> {
        let [.., elements] = self.place?;
        let is_one = elements == 1 && self.runs.len() == self.panels.len();
        self.panels().next().filter(|_| is_one).map(|window| (window, &*self.runs))
    }

    /// Returns the inputs at each panel of pixels.
    #[inline(always)]
    pub(super) fn panels(&self) -> impl Iterator<Item = Window<'_>> {
        self.panels.iter().map(|panel| Window {
            runs: &self.runs[panel.first_run..],
            masks: &self.masks,
            runs_of_element: panel.runs,
            stride: self.stride,
        })
    }
}

impl Window<'_> {
    /// Returns the runs of each of some elements, which are counted from the first one of
    /// [`Windows::set`].
    #[inline(always)]
    pub(super) fn elements(&self, elements: Range<usize>) -> ChunksExact<'_, Run> {
        let count = self.runs_of_element;
        self.runs[elements.start * count..elements.end * count].chunks_exact(count)
    }

    /// Returns the only run of each of some elements, if they have one.
    #[inline(always)]
    pub(super) fn simple_elements(&self, elements: Range<usize>) -> Option<&[Run]> {
        if self.runs_of_element == 1 { Some(&self.runs[elements]) } else { None }
    }

    /// Returns the inputs of an element at the pixels of the panel, and zeros outside of the image.
    /// `channel` is the start of a channel of the input. `STRIDE` is that of the windows, or 0 for
    /// any other than 1 and 2.
    #[inline(always)]
    pub(super) fn inputs<const STRIDE: usize>(
        &self,
        runs: &[Run],
        input: &[f32],
        channel: usize,
    ) -> [f32; PANEL] {
        let mut inputs = [0.0_f32; PANEL];
        for run in runs {
            let more = self.inputs_of_run::<STRIDE>(*run, input, channel);
            inputs = std::array::from_fn(|lane| {
                f32::from_bits(inputs[lane].to_bits() | more[lane].to_bits())
            });
        }
        inputs
    }

    /// Returns the inputs of a run, and zeros for the other pixels.
    #[inline(always)]
    pub(super) fn inputs_of_run<const STRIDE: usize>(
        &self,
        run: Run,
        input: &[f32],
        channel: usize,
    ) -> [f32; PANEL] {
        match self.inputs_at_once::<STRIDE>(run, input, channel) {
            Some(inputs) => inputs,
            None => {
                let start = channel.wrapping_add(run.start);
                only(&self.masks[run.mask], one_by_one(input, start, self.stride))
            }
        }
    }

    /// [`Window::inputs_of_run`], if they can be read at once, as most can: the stride is 1 or 2,
    /// and all numbers side by side lie within the input, those of other pixels too.
    #[inline(always)]
    pub(super) fn inputs_at_once<const STRIDE: usize>(
        &self,
        run: Run,
        input: &[f32],
        channel: usize,
    ) -> Option<[f32; PANEL]> {
        let from = input.get(channel.wrapping_add(run.start)..)?;
        let inputs = match STRIDE {
            1 => *from.first_chunk::<PANEL>()?,
            2 => {
                let from = from.first_chunk::<{ 2 * PANEL }>()?;
                std::array::from_fn(|lane| from[2 * lane])
            }
            _ => return None,
        };
        Some(only(&self.masks[run.mask], inputs))
    }
}

/// Returns the numbers from a place on, and zeros outside of the input.
#[inline(never)]
fn one_by_one(input: &[f32], start: usize, stride: usize) -> [f32; PANEL] {
    let place = |lane: usize| start.wrapping_add(lane.wrapping_mul(stride));
    std::array::from_fn(|lane| input.get(place(lane)).copied().unwrap_or(0.0))
}

/// Returns the numbers of the pixels of a mask, and zeros for the others.
#[inline(always)]
fn only(mask: &Mask, numbers: [f32; PANEL]) -> [f32; PANEL] {
    std::array::from_fn(|lane| f32::from_bits(numbers[lane].to_bits() & mask[lane]))
}

impl Sizes {
    /// True if the rows of the output are those of the input, so that the input of an element has
    /// the same distance from every pixel.
    fn keeps_rows(&self) -> bool {
        self.strides == [1, 1] && self.input[1] == self.output[1]
    }

    /// Returns that distance.
    fn distance(&self, element: [usize; 2]) -> isize {
        let along = |axis: usize| {
            (element[axis] * self.dilations[axis]) as isize - self.pads[axis] as isize
        };
        along(0).wrapping_mul(self.input[1] as isize).wrapping_add(along(1))
    }

    /// Returns the run of an element of a filter at `count` pixels of a row, from a lane of a panel
    /// on: its start, and the bits of its pixels within the image.
    fn run(
        &self,
        element: [usize; 2],
        start: [usize; 2],
        lane: usize,
        count: usize,
    ) -> (usize, Bits) {
        let position =
            |axis: usize| start[axis] * self.strides[axis] + element[axis] * self.dilations[axis];
        let [height, width] = self.input;

        let row = position(0).wrapping_sub(self.pads[0]);
        if row >= height {
            return (0, 0);
        }

        let (position, pad, stride) = (position(1), self.pads[1], self.strides[1]);
        let skipped = pad.wrapping_add(lane.wrapping_mul(stride));
        let start = (row * width + position).wrapping_sub(skipped);
        if position >= pad && position - pad + (count - 1) * stride < width {
            return (start, bits_of(lane, count));
        }

        let before = pad.saturating_sub(position).div_ceil(stride).min(count);
        let first = (position + before * stride).wrapping_sub(pad);
        if before == count || first >= width {
            return (0, 0);
        }

        let within = ((width - first - 1) / stride + 1).min(count - before);
        (start, bits_of(lane + before, within))
    }
}

/// Returns the bits of some pixels of a panel.
fn bits_of(first: usize, count: usize) -> Bits {
    (((1_u32 << count) - 1) << first) as Bits
}
