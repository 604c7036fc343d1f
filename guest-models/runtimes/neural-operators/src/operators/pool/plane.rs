//! Windows over images of two axes, in loops over whole rows.

use wardian_sdk::Error;

use onnx_executor::operators::number::Number;
use onnx_executor::tensor::{allocate, filled};

use super::super::window::Geometry;

/// A window over images of two axes.
pub(super) struct Plane<'a> {
    geometry: &'a Geometry,
    input: [usize; 2],
    output: [usize; 2],
}

impl<'a> Plane<'a> {
    /// `None` if there are more axes, or fewer.
    pub(super) fn of(geometry: &'a Geometry) -> Option<Self> {
        let input = geometry.input.as_slice().try_into().ok()?;
        let output = geometry.output.as_slice().try_into().ok()?;
        Some(Plane { geometry, input, output })
    }

    /// Returns the highest number under each position of the window: those of the rows first, and
    /// then of the columns.
    pub(super) fn highest<T: Number>(&self, values: &[T], results: usize) -> Result<Vec<T>, Error> {
        let ([height, width], [rows, columns]) = (self.input, self.output);
        let mut highest = allocate(results)?;
        let mut of_rows = filled(width, T::LOWEST)?;
        for image in values.chunks_exact((height * width).max(1)) {
            for row in 0..rows {
                let mut values = self.rows(image, row);
                match values.next() {
                    Some(values) => of_rows.copy_from_slice(values),
                    None => of_rows.fill(T::LOWEST),
                }
                values.for_each(|values| join_each::<1, _, _>(values, &mut of_rows, T::larger));
                let start = highest.len();
                highest.resize(start + columns, T::LOWEST);
                self.add_columns(&of_rows, &mut highest[start..], |most, v| most.larger(v));
            }
        }
        Ok(highest)
    }

    /// Returns the mean under each position of the window. The numbers of elements that it is of
    /// are products of those along the axes.
    pub(super) fn means<T: Number>(
        &self,
        values: &[T],
        counts: &[Vec<usize>; 2],
        results: usize,
    ) -> Result<Vec<T>, Error> {
        let ([height, width], [_, columns]) = (self.input, self.output);
        let mut means = allocate(results)?;
        let mut sums = filled(columns, 0.0)?;
        for image in values.chunks_exact((height * width).max(1)) {
            for (row, of_row) in counts[0].iter().enumerate() {
                sums.fill(0.0);
                for values in self.rows(image, row) {
                    self.add_columns(values, &mut sums, |sum, value: T| sum + value.to_f64());
                }
                let counts = counts[1].iter().map(|count| (count * of_row) as f64);
                means.extend(sums.iter().zip(counts).map(|(sum, count)| T::from_f64(sum / count)));
            }
        }
        Ok(means)
    }

    /// Returns the rows of an image under a row of positions.
    fn rows<'v, T>(&self, image: &'v [T], row: usize) -> impl Iterator<Item = &'v [T]> {
        let width = self.input[1];
        let elements = 0..self.geometry.kernel[0];
        let places = elements.filter_map(move |element| self.geometry.place(0, row, element));
        places.map(move |place| &image[place * width..][..width])
    }

    /// Joins the results of a row of positions with the numbers under each element of the window
    /// along it.
    fn add_columns<T: Copy, R: Copy>(
        &self,
        row: &[T],
        results: &mut [R],
        join: impl Fn(R, T) -> R + Copy,
    ) {
        let (stride, dilation) = (self.geometry.strides[1], self.geometry.dilations[1]);
        for element in 0..self.geometry.kernel[1] {
            let before = self.geometry.begins[1].saturating_sub(element * dilation);
            let first = before.div_ceil(stride);
            let Some(place) = self.geometry.place(1, first, element) else { continue };
            let Some(results) = results.get_mut(first..) else { continue };
            match stride {
                1 => join_each::<1, _, _>(&row[place..], results, join),
                2 => join_each::<2, _, _>(&row[place..], results, join),
                _ => {
                    let values = row[place..].iter().step_by(stride);
                    let pairs = results.iter_mut().zip(values);
                    pairs.for_each(|(result, value)| *result = join(*result, *value));
                }
            }
        }
    }
}

/// Results that are joined in one step of a loop, in several registers.
const LANES: usize = 8;

/// Joins results with the first of each `N` values.
fn join_each<const N: usize, T: Copy, R: Copy>(
    values: &[T],
    results: &mut [R],
    join: impl Fn(R, T) -> R,
) {
    let (groups, rest) = values.as_chunks::<N>();
    let count = results.len().min(groups.len()) / LANES * LANES;
    let (results_of_chunks, last_results) = results.split_at_mut(count);
    let (groups, last_groups) = groups.split_at(count);

    let chunks = results_of_chunks.as_chunks_mut::<LANES>().0.iter_mut();
    for (results, groups) in chunks.zip(groups.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            results[lane] = join(results[lane], groups[lane][0]);
        }
    }

    let last = last_groups.iter().map(|group| group[0]).chain(rest.first().copied());
    let pairs = last_results.iter_mut().zip(last);
    pairs.for_each(|(result, value)| *result = join(*result, value));
}
