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
    /// For each element, the distance of its input from the pixel of the same index, if that is the
    /// same for all pixels.
    distances: Option<Vec<isize>>,
    /// For each element, the panels of pixels: all bits where its input is within the image.
    masks: Vec<[u32; CHUNK]>,
}

/// The columns of a matrix that [`Windows::fill_row`] fills: panels of 16 pixels, with rows of all
/// panels `panel` numbers apart.
pub(super) struct Panels {
    pub(super) panel: usize,
    pub(super) pixels: usize,
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
        self.distances = sizes.keeps_pixels().then(Vec::new);

        let width = sizes.output[1];
        let [first_element, elements] = elements;
        for element in first_element..first_element + elements {
            let element = element % sizes.kernel_area();
            let element = [element / sizes.kernel[1], element % sizes.kernel[1]];
            if let Some(distances) = &mut self.distances {
                distances.push(sizes.distance(element));
            }
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

        if self.distances.is_some() {
            self.set_masks(elements, count.div_ceil(CHUNK));
        }
    }

    fn set_masks(&mut self, elements: usize, panels: usize) {
        self.masks.clear();
        self.masks.resize(elements * panels, [0; CHUNK]);
        for (element, masks) in self.masks.chunks_exact_mut(panels).enumerate() {
            let start = element.checked_sub(1).map_or(0, |before| self.ends[before]);
            for run in &self.runs[start..self.ends[element]] {
                let within = run.to + run.before;
                masks.as_flattened_mut()[within..within + run.within].fill(u32::MAX);
            }
        }
    }

    /// Fills a row of panels with the input of an element in a channel, at the pixels from `first`
    /// on. Elements are counted from the first one of [`Windows::set`]. The numbers after the last
    /// pixel are unspecified. `row` is room for as many numbers as there are in the panels.
    #[inline]
    pub(super) fn fill_row(
        &self,
        [element, first]: [usize; 2],
        channel: &[f32],
        to: &mut [f32],
        panels: &Panels,
        row: &mut [f32],
    ) {
        match &self.distances {
            Some(distances) => {
                let start = first.wrapping_add_signed(distances[element]);
                let count = panels.pixels.div_ceil(CHUNK);
                let masks = &self.masks[element * count..][..count];
                copy_shifted(channel, start, masks, to, panels.panel);
            }
            None => {
                self.copy(element, channel, row);
                let rows = row.as_chunks::<CHUNK>().0.iter();
                let chunks = to.chunks_mut(panels.panel).take(panels.pixels.div_ceil(CHUNK));
                chunks.zip(rows).for_each(|(to, row)| to[..CHUNK].copy_from_slice(row));
            }
        }
    }

    /// Copies the input of an element in a channel. The numbers after the last pixel are
    /// unspecified.
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

/// Copies the numbers from a place on, which may lie outside of the channel at both ends, and zeros
/// where the masks have no bits.
#[inline(always)]
fn copy_shifted(
    channel: &[f32],
    start: usize,
    masks: &[[u32; CHUNK]],
    to: &mut [f32],
    panel: usize,
) {
    for (index, (to, mask)) in to.chunks_mut(panel).zip(masks).enumerate() {
        let Some(to) = to.first_chunk_mut::<CHUNK>() else { return };
        let start = start.wrapping_add(index * CHUNK);
        match channel.get(start..).and_then(|from| from.first_chunk::<CHUNK>()) {
            Some(from) => {
                for lane in 0..CHUNK {
                    to[lane] = f32::from_bits(from[lane].to_bits() & mask[lane]);
                }
            }
            None => {
                for lane in 0..CHUNK {
                    let number = channel.get(start.wrapping_add(lane)).copied();
                    to[lane] = if mask[lane] == 0 { 0.0 } else { number.unwrap_or(0.0) };
                }
            }
        }
    }
}

// The functions below copy whole chunks, which needs no loop over single numbers. They may write
// more than `count` numbers; the next run overwrites the surplus.

/// Copies `count` numbers or more.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32], count: usize) {
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
    /// True if the input of an element has the same distance from every pixel.
    fn keeps_pixels(&self) -> bool {
        self.strides == [1, 1] && self.input == self.output
    }

    /// Returns that distance.
    fn distance(&self, element: [usize; 2]) -> isize {
        let along = |axis: usize| {
            (element[axis] * self.dilations[axis]) as isize - self.pads[axis] as isize
        };
        along(0) * self.input[1] as isize + along(1)
    }

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
