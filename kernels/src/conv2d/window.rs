//! The pixels of an image that an element of a filter meets.

use super::Sizes;

/// A run of consecutive pixels of the output image.
#[derive(Clone, Copy)]
pub(super) struct Pixels {
    /// The row and the column of the first one.
    pub(super) start: [usize; 2],
    pub(super) count: usize,
}

impl Sizes {
    /// Returns a run of pixels of the output image.
    pub(super) fn pixels(&self, first: usize, count: usize) -> Pixels {
        Pixels { start: [first / self.output[1], first % self.output[1]], count }
    }

    /// Copies to `to` what an element of a filter meets at each of the pixels: numbers of the
    /// channel, or 0 outside of the image.
    #[inline]
    pub(super) fn gather(
        &self,
        channel: &[f32],
        element: [usize; 2],
        pixels: Pixels,
        to: &mut [f32],
    ) {
        let [mut row, mut column] = pixels.start;
        let mut to = &mut to[..pixels.count];

        while !to.is_empty() {
            let count = to.len().min(self.output[1] - column);
            let (run, rest) = to.split_at_mut(count);
            self.gather_row(channel, element, [row, column], run);
            to = rest;
            row += 1;
            column = 0;
        }
    }

    /// Copies what an element of a filter meets at pixels of one row, from `start` on.
    #[inline]
    fn gather_row(&self, channel: &[f32], element: [usize; 2], start: [usize; 2], to: &mut [f32]) {
        let [height, width] = self.input;
        let place =
            |axis: usize| start[axis] * self.strides[axis] + element[axis] * self.dilations[axis];

        let row = place(0).wrapping_sub(self.pads[0]);
        if row >= height {
            to.fill(0.0);
            return;
        }
        let row = &channel[row * width..][..width];

        // The pixels whose place is before the image, and those whose place is within.
        let (place, pad, stride) = (place(1), self.pads[1], self.strides[1]);
        let before = pad.saturating_sub(place).div_ceil(stride).min(to.len());
        let first = (place + before * stride).wrapping_sub(pad);
        let within = if before == to.len() || first >= width {
            0
        } else {
            ((width - first - 1) / stride + 1).min(to.len() - before)
        };

        let (zeros, to) = to.split_at_mut(before);
        let (to, more_zeros) = to.split_at_mut(within);
        zeros.fill(0.0);
        more_zeros.fill(0.0);

        if within == 0 {
            return;
        }
        if stride == 1 {
            to.copy_from_slice(&row[first..first + within]);
        } else {
            let from = row[first..].iter().step_by(stride);
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
    }
}
