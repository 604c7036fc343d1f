//! The input pixels that each element of a filter is multiplied by.

use super::Sizes;

/// A run of pixels in one row of the output image, and the input of one element of a filter there.
#[derive(Clone, Copy)]
struct Run {
    /// The first pixel of the run.
    to: usize,
    /// Numbers of pixels whose input lies left of the image row, within it, and right of it.
    before: usize,
    within: usize,
    behind: usize,
    /// The index in a channel of the first input within the row.
    from: usize,
}

/// The input elements under each element of a filter, at some consecutive pixels of the output.
///
/// They are the same for every channel, so they are computed once for all channels.
#[derive(Default)]
pub(super) struct Windows {
    runs: Vec<Run>,
    /// The end of each element's runs.
    ends: Vec<usize>,
    stride: usize,
}

/// The length of a copied chunk.
const CHUNK: usize = 16;

impl Windows {
    /// Computes the windows of `count` pixels from `first` on, for `elements` from `first_element`
    /// on, which may wrap around.
    pub(super) fn set(&mut self, sizes: &Sizes, first: usize, count: usize, elements: [usize; 2]) {
        self.runs.clear();
        self.ends.clear();
        self.stride = sizes.strides[1];

        let width = sizes.output[1];
        let [first_element, elements] = elements;
        for element in first_element..first_element + elements {
            let element = element % sizes.kernel_area();
            let element = [element / sizes.kernel[1], element % sizes.kernel[1]];
            let [mut row, mut column] = [first / width, first % width];
            let mut to = 0;

            while to < count {
                let pixels = (count - to).min(width - column);
                self.runs.push(sizes.run(element, [row, column], to, pixels));
                to += pixels;
                row += 1;
                column = 0;
            }
            self.ends.push(self.runs.len());
        }
    }

    /// Copies the input of an element in a channel. Elements are counted from the first one of
    /// [`Windows::set`]. The numbers after the last pixel are unspecified.
    #[inline]
    pub(super) fn copy(&self, element: usize, channel: &[f32], to: &mut [f32]) {
        let start = element.checked_sub(1).map_or(0, |before| self.ends[before]);

        for run in &self.runs[start..self.ends[element]] {
            if run.before > 0 {
                clear(&mut to[run.to..], run.before);
            }

            let within = run.to + run.before;
            let from = &channel[run.from..];
            match self.stride {
                1 => copy(from, &mut to[within..], run.within),
                2 => copy_every_second(from, &mut to[within..], run.within),
                stride => copy_every(stride, from, &mut to[within..within + run.within]),
            }

            if run.behind > 0 {
                clear(&mut to[within + run.within..], run.behind);
            }
        }
    }
}

// The functions below copy whole chunks, which needs no loop over single numbers. They may write
// more than `count` numbers; the next run overwrites the surplus.

/// Copies `count` numbers or more.
#[inline(always)]
pub(super) fn copy(from: &[f32], to: &mut [f32], count: usize) {
    let mut done = 0;

    while done < count {
        let chunk = from.get(done..).and_then(|from| from.first_chunk::<CHUNK>());
        let target = to.get_mut(done..).and_then(|to| to.first_chunk_mut::<CHUNK>());
        match (chunk, target) {
            (Some(chunk), Some(target)) => *target = *chunk,
            _ => {
                copy_every(1, &from[done..], &mut to[done..count]);
                return;
            }
        }
        done += CHUNK;
    }
}

/// Copies every second of the numbers, `count` of them or more.
#[inline(always)]
fn copy_every_second(from: &[f32], to: &mut [f32], count: usize) {
    let mut done = 0;

    while done < count {
        let chunk = from.get(2 * done..).and_then(|from| from.first_chunk::<{ 2 * CHUNK }>());
        let target = to.get_mut(done..).and_then(|to| to.first_chunk_mut::<CHUNK>());
        match (chunk, target) {
            (Some(chunk), Some(target)) => {
                let (pairs, _) = chunk.as_chunks::<2>();
                target.iter_mut().zip(pairs).for_each(|(to, [from, _])| *to = *from);
            }
            _ => {
                copy_every(2, &from[2 * done..], &mut to[done..count]);
                return;
            }
        }
        done += CHUNK;
    }
}

fn copy_every(stride: usize, from: &[f32], to: &mut [f32]) {
    to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, from)| *to = *from);
}

/// Writes `count` zeros or more.
#[inline(always)]
fn clear(to: &mut [f32], count: usize) {
    let mut done = 0;

    while done < count {
        match to.get_mut(done..).and_then(|to| to.first_chunk_mut::<CHUNK>()) {
            Some(target) => *target = [0.0; CHUNK],
            None => {
                to[done..count].fill(0.0);
                return;
            }
        }
        done += CHUNK;
    }
}

impl Sizes {
    /// Returns the run of an element of a filter at `pixels` pixels of a row.
    fn run(&self, element: [usize; 2], start: [usize; 2], to: usize, pixels: usize) -> Run {
        let position =
            |axis: usize| start[axis] * self.strides[axis] + element[axis] * self.dilations[axis];
        let [height, width] = self.input;

        let row = position(0).wrapping_sub(self.pads[0]);
        if row >= height {
            return Run { to, before: pixels, within: 0, behind: 0, from: 0 };
        }

        let (position, pad, stride) = (position(1), self.pads[1], self.strides[1]);
        let before = pad.saturating_sub(position).div_ceil(stride).min(pixels);
        let first = (position + before * stride).wrapping_sub(pad);
        let within = if before == pixels || first >= width {
            0
        } else {
            ((width - first - 1) / stride + 1).min(pixels - before)
        };

        let from = if within == 0 { 0 } else { row * width + first };
        Run { to, before, within, behind: pixels - before - within, from }
    }
}
