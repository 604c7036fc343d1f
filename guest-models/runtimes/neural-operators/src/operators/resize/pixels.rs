//! The pixels of the input that an output pixel is made of, along one axis.

use super::{Along, Coordinates, Mode, Resize, Rounding};

/// The weights of the input pixels of an output pixel; `None` for the value outside.
pub(super) type Pixel = Option<Vec<(usize, f64)>>;

impl Resize {
    /// Returns the weights of the input pixels of an output pixel.
    pub(super) fn pixel(&self, x: usize, extent: usize, along: &Along) -> Pixel {
        let place = self.place(x as f64, extent as f64, along);
        if self.coordinates == Coordinates::Crop && !(0.0..=extent as f64 - 1.0).contains(&place) {
            return None;
        }
        let scale = if self.antialiases { along.scale.min(1.0) } else { 1.0 };
        let last = extent as i64 - 1;
        Some(match self.mode {
            Mode::Nearest => vec![(self.rounded(place).clamp(0, last) as usize, 1.0)],
            Mode::Linear => {
                let weigh = |distance: f64| (1.0 - distance.abs()).max(0.0);
                self.taps(place, last, scale, 1.0, weigh)
            }
            Mode::Cubic => {
                let a = self.cubic;
                self.taps(place, last, scale, 2.0, |distance| cubic(distance.abs(), a))
            }
        })
    }

    /// Returns the input pixel that is nearest to an output pixel.
    pub(super) fn nearest(&self, x: usize, extent: usize, along: &Along) -> usize {
        let place = self.place(x as f64, extent as f64, along);
        self.rounded(place).clamp(0, extent as i64 - 1) as usize
    }

    /// Returns the weights of the pixels around a place, those of one at the border joined.
    fn taps(
        &self,
        place: f64,
        last: i64,
        scale: f64,
        reach: f64,
        weigh: impl Fn(f64) -> f64,
    ) -> Vec<(usize, f64)> {
        let support = reach / scale;
        let (first, end) = ((place - support).ceil() as i64, (place + support).floor() as i64);
        let mut taps: Vec<(usize, f64)> = Vec::new();
        for index in first..=end {
            let weight = weigh((index as f64 - place) * scale);
            if weight == 0.0 || (self.excludes_outside && !(0..=last).contains(&index)) {
                continue;
            }
            let place = index.clamp(0, last) as usize;
            match taps.iter_mut().find(|(known, _)| *known == place) {
                Some((_, sum)) => *sum += weight,
                None => taps.push((place, weight)),
            }
        }
        let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
        taps.iter_mut().for_each(|(_, weight)| *weight /= sum);
        taps
    }

    fn place(&self, x: f64, extent: f64, along: &Along) -> f64 {
        let scale = along.scale;
        let [start, end] = along.region;
        let output = along.extent as f64;
        match self.coordinates {
            Coordinates::HalfPixel => (x + 0.5) / scale - 0.5,
            Coordinates::HalfPixelSymmetric => {
                let adjusted = output / (extent * scale);
                let center = extent / 2.0;
                center * (1.0 - adjusted) + (x + 0.5) / scale - 0.5
            }
            Coordinates::PytorchHalfPixel if along.extent > 1 => (x + 0.5) / scale - 0.5,
            Coordinates::PytorchHalfPixel => 0.0,
            // The corners are those of the output before its extent was rounded.
            Coordinates::AlignCorners => match along.extent {
                1 => 0.0,
                _ => x * (extent - 1.0) / (extent * scale - 1.0),
            },
            Coordinates::Asymmetric => x / scale,
            Coordinates::TfHalfPixel => (x + 0.5) / scale,
            Coordinates::Crop if along.extent > 1 => {
                start * (extent - 1.0) + x * (end - start) * (extent - 1.0) / (output - 1.0)
            }
            Coordinates::Crop => 0.5 * (start + end) * (extent - 1.0),
        }
    }

    fn rounded(&self, place: f64) -> i64 {
        let rounded = match self.rounding {
            Rounding::PreferFloor if place.fract().abs() == 0.5 => place.floor(),
            Rounding::PreferCeil if place.fract().abs() == 0.5 => place.ceil(),
            Rounding::PreferFloor | Rounding::PreferCeil => place.round(),
            Rounding::Floor => place.floor(),
            Rounding::Ceil => place.ceil(),
        };
        rounded as i64
    }
}

fn cubic(distance: f64, a: f64) -> f64 {
    let d = distance;
    if d <= 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
    } else {
        0.0
    }
}
